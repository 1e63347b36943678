/*
 * Who writes to devices from a shell: messages of a thread that is no shard (gw/shard/downlink.h).
 * Each is answered once, and reaches the device that it names or none.
 */
#ifndef SIM_OPERATOR_H
#define SIM_OPERATOR_H

#include <gw/shard/downlink.h>

#include "ledger.h"
#include "random.h"

/* What it writes to this pin is the index of the device's token. */
enum { OPERATOR_PIN = 9, MESSAGES_MAX = 3 };

struct operator
{
    struct gw_downlink_desk desk;
    struct message {
        struct gw_downlink downlink; /* first */
        bool under_way;
        char body[16];
    } messages[MESSAGES_MAX];
    uint64_t delivered;
};

/* At the beginning of each life: what was under way in the last one went with it. */
void operator_begin(struct operator* operator);
/* Takes answers and, if it `may_ask`, sends something. */
void operator_step(struct operator* operator, struct gw_shard * any,
                   const struct world_tokens *tokens, struct chance *chance, bool may_ask);
/* How many of its messages have no answer yet. */
uint32_t operator_waits(const struct operator* operator);

#endif
