/*
 * Socket addresses as the configuration writes them: "192.0.2.1:9443", "[::]:443".
 */
#ifndef GW_APP_ADDRESS_H
#define GW_APP_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <gw/base/defs.h>

enum { GW_ADDRESS_TEXT_BYTES = 80 }; /* any address, formatted, with its NUL */

struct gw_address {
    struct sockaddr_storage storage; /* AF_INET or AF_INET6 */
    socklen_t bytes;
};

/*
 * Numbers only: a gateway that needs a name server to start does not start when it must.
 * False: *why is a text for the operator.
 */
GW_MUST_USE bool gw_address_parse(const char *text, struct gw_address *out, const char **why);

/* The text that gw_address_parse reads back; for a log line, with the port bound. */
void gw_address_format(const struct gw_address *address, char out[GW_ADDRESS_TEXT_BYTES]);

uint16_t gw_address_port(const struct gw_address *address);

/* 127.0.0.0/8, ::1, or the former mapped into IPv6. */
bool gw_address_is_loopback(const struct gw_address *address);

#endif
