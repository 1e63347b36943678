/*
 * Between the admin port's server and its reading of requests.
 */
#ifndef GW_APP_ADMIN_INTERNAL_H
#define GW_APP_ADMIN_INTERNAL_H

#include <stdbool.h>

#include <gw/base/bytes.h>
#include <gw/base/defs.h>

struct gw_admin_request {
    int status;           /* 0: well formed; else what to answer                  */
    bool is_get, is_head; /* set as soon as the method was read                   */
    bool wants_host;      /* HTTP/1.1 or later 1.x                                */
    struct gw_bytes path; /* without the query; points into the input             */
};

/* GW_MORE while the head is not whole; else GW_OK. What follows the head is not looked at. */
enum gw_status gw_admin_request_read(struct gw_bytes in, struct gw_admin_request *out);

#endif
