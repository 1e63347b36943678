/*
 * What the tests of a session share: one in its states, and frames for it.
 */
#ifndef TESTS_SESSION_KIT_H
#define TESTS_SESSION_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <gw/base/bytes.h>
#include <gw/session/session.h>

enum { NOW_US = 1700000000000123 };

struct life {
    struct gw_session s;
    struct gw_session_cold cold;
    struct gw_session_todo todo;
};

extern const struct gw_session_limits limits;

struct life in_login(void);
struct life in_live(uint8_t product_flags);

#define BODY(text) gw_bytes_of("" text, sizeof(text) - 1)

/* At NOW_US; l->todo is what is to be done. */
void give(struct life *l, uint8_t type, uint16_t id, struct gw_bytes body);

#endif
