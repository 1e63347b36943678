#include "operator.h"

#include <stdio.h>
#include <string.h>

#include <gw/base/assert.h>

static void wake(void *context)
{
    (void)context; /* it looks in every step */
}

void operator_begin(struct operator* operator)
{
    memset(&operator->desk, 0, sizeof operator->desk);
    operator->desk.wake = wake;
    for (uint32_t i = 0; i < MESSAGES_MAX; i++)
        operator->messages[i].under_way = false;
}

static void take_answers(struct operator* operator)
{
    struct gw_inbox_item *item = gw_inbox_take(&operator->desk.answers);

    while (item != NULL) {
        struct message *message = (struct message *)item;

        item = item->next;
        gw_assert(message->under_way); /* once */
        gw_assert(message->downlink.result != GW_DOWNLINK_UNDER_WAY);
        message->under_way = false;
        operator->delivered += message->downlink.result == GW_DOWNLINK_DELIVERED;
    }
}

static void send(struct operator* operator, struct message * message, struct gw_shard *any,
                 const struct world_tokens *tokens, uint32_t token)
{
    int bytes =
        snprintf(message->body, sizeof message->body, "vw%c%u%c%u", 0, OPERATOR_PIN, 0, token);

    message->under_way = true;
    message->downlink = (struct gw_downlink){
        .desk = &operator->desk,
        .device = tokens->device[token],
        .frame = {.type = GW_FRAME_HARDWARE, .body = gw_bytes_of(message->body, (size_t)bytes)},
    };
    gw_shard_downlink(any, &message->downlink);
}

void operator_step(struct operator* operator, struct gw_shard * any,
                   const struct world_tokens *tokens, struct chance *chance, bool may_ask)
{
    struct message *message = &operator->messages[chance_below(chance, MESSAGES_MAX)];

    take_answers(operator);
    if (may_ask && !message->under_way && chance_one_in(chance, 4))
        send(operator, message, any, tokens, chance_below(chance, tokens->count));
}

uint32_t operator_waits(const struct operator* operator)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < MESSAGES_MAX; i++)
        count += operator->messages[i].under_way;
    return count;
}
