/*
 * What was written, by whom, and what has become of it: the truth that the gateway is held to.
 *
 * Each update has a number of its own, which is the value that is written; so wherever a value
 * turns up it says where it belongs. Numbers grow, and one writer's updates reach the log in their
 * order.
 *
 *     written --its batch was synced, or was found by a recovery--> durable --told so-->
 * acknowledged
 *        |
 *        +--> refused, or lost with its connection: never seen again
 */
#ifndef SIM_LEDGER_H
#define SIM_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include <gw/base/bytes.h>
#include <gw/journal/batch.h>
#include <gw/journal/io.h>
#include <gw/values/values.h>

#include "tokens.h"

enum { UPDATES_MAX = 1 << 13, PIN_FIRST = 5, PINS = 4 };

struct ledger;

/* With `may_be_cut`, the log may lose its oldest part: what nobody needs any more. */
struct ledger *ledger_create(const struct world_tokens *tokens, bool may_be_cut);
bool ledger_may_be_cut(const struct ledger *ledger);
/* Whoever has a cursor in the log needs no more of it than what is behind this version. */
void ledger_dispose(struct ledger *ledger, uint32_t version);
void ledger_destroy(struct ledger *ledger);

/*
 * A new update and its number, 0 when there were enough. `connection` numbers the connections of
 * all writers, `nth` the updates of one from 1; with `every`, no update of it may be left out in
 * front of one that is in the log.
 */
uint32_t ledger_write(struct ledger *ledger, uint32_t connection, uint32_t nth, bool every,
                      uint32_t token, uint8_t pin);
/* Somebody else than its device has written it, and the device is to hear of it. */
void ledger_pass_on(struct ledger *ledger, uint32_t number);
bool ledger_is_passed_on(const struct ledger *ledger, uint32_t number);
/* The number that the next update will have. */
uint32_t ledger_next(const struct ledger *ledger);
void ledger_acknowledged(struct ledger *ledger, uint32_t number);
void ledger_refused(struct ledger *ledger, uint32_t number);

/* The number that a value names; it must be one that was written to this pin of this token. */
uint32_t ledger_number(const struct ledger *ledger, struct gw_bytes value, uint32_t token,
                       uint8_t pin);
/* How many updates were durable when this one became so, itself among them; 0: it is not. */
uint32_t ledger_version(const struct ledger *ledger, uint32_t number);
/* The version of a record that was read, 0: it is no update of a device or in its name. */
uint32_t ledger_record_version(const struct ledger *ledger, const struct gw_record *record);
/* The last durable update of a pin; 0: none. */
uint32_t ledger_last(const struct ledger *ledger, uint32_t token, uint8_t pin);

/* A record has become durable. */
void ledger_durable(struct ledger *ledger, const struct gw_batch_name *batch,
                    const struct gw_record *record);
/*
 * A gateway has begun, or ended, with this log: reads all of it. What was durable must be there, in
 * its order; what is not there is lost.
 */
void ledger_read_log(struct ledger *ledger, const char *path, const struct gw_journal_io *io);
/*
 * Somebody reads the log while it is written: nothing but what is durable and, if no mark failed to
 * be written, all of that.
 */
void ledger_follow_log(struct ledger *ledger, const char *path, const struct gw_journal_io *io,
                       bool marked);
/* The last values are those of the log. */
void ledger_check_values(const struct ledger *ledger, struct gw_values_reader *reader);

uint64_t ledger_durable_count(const struct ledger *ledger);
uint64_t ledger_acknowledged_count(const struct ledger *ledger);
uint64_t ledger_lost_count(const struct ledger *ledger);

#endif
