/*
 * The tokens of a world, and what has become of each: the truth that logins and requests are judged
 * by. Whoever was asked at one moment and answers at another may answer by any moment in between.
 */
#ifndef SIM_TOKENS_H
#define SIM_TOKENS_H

#include <stdbool.h>
#include <stdint.h>

#include <gw/base/defs.h>
#include <gw/wire/token_text.h>

/* Products: devices of the second one must name it. */
enum { TOKENS_MAX = 64, PRODUCTS = 2 };

/* Tokens of devices of the world's index; behind them one more, that is in no index. */
struct world_tokens {
    uint32_t count;
    uint32_t org, product[PRODUCTS]; /* their numbers in the index */
    bool org_closed, product_closed[PRODUCTS];
    char text[TOKENS_MAX + 1][GW_TOKEN_TEXT_BYTES]; /* as the device has it now    */
    uint32_t device[TOKENS_MAX];                    /* its number in the index     */
    uint8_t of_device[256];                         /* and back                    */
    bool needs_info[TOKENS_MAX];                    /* its product asks for a name */
    struct token_fate {
        uint32_t drawn; /* how often the device was given another one; the last time: */
        uint64_t drawn_ns;
        bool disabled, revoked, out_of_time;
        bool is_good, is_unknown; /* what follows from all of that                   */
        uint64_t good_until_ns, unknown_until_ns; /* before the present state; 0: never */
        uint64_t changed_ns;
    } fate[TOKENS_MAX];
};

/* Something of it, or of its product or organisation, was changed at `now_ns`. */
static inline void token_judge(struct world_tokens *tokens, uint32_t token, uint64_t now_ns)
{
    struct token_fate *fate = &tokens->fate[token];
    bool closed = tokens->org_closed || tokens->product_closed[tokens->needs_info[token]];
    bool good = !fate->revoked && !fate->disabled && !fate->out_of_time && !closed;

    if (good == fate->is_good && fate->revoked == fate->is_unknown)
        return;
    if (fate->is_good)
        fate->good_until_ns = now_ns;
    if (fate->is_unknown)
        fate->unknown_until_ns = now_ns;
    fate->is_unknown = fate->revoked;
    fate->is_good = good;
    fate->changed_ns = now_ns;
}

/*
 * At some moment from `since_ns` on: could one log in with the `drawn`th token of the device? Was
 * it one that nobody has?
 */
static inline bool token_was_good(const struct world_tokens *tokens, uint32_t token, uint32_t drawn,
                                  uint64_t since_ns)
{
    const struct token_fate *fate = &tokens->fate[token % TOKENS_MAX];

    if (token == tokens->count)
        return false;
    if (drawn != fate->drawn)
        return fate->drawn_ns >= since_ns;
    return fate->is_good || (fate->good_until_ns != 0 && fate->good_until_ns >= since_ns);
}

static inline bool token_was_unknown(const struct world_tokens *tokens, uint32_t token,
                                     uint32_t drawn, uint64_t since_ns)
{
    const struct token_fate *fate = &tokens->fate[token % TOKENS_MAX];

    if (token == tokens->count || drawn != fate->drawn || fate->is_unknown)
        return true;
    return fate->unknown_until_ns != 0 && fate->unknown_until_ns >= since_ns;
}

/* Was it, from `since_ns` on, all the time good and the device's? */
static inline bool token_stayed_good(const struct world_tokens *tokens, uint32_t token,
                                     uint32_t drawn, uint64_t since_ns)
{
    const struct token_fate *fate = &tokens->fate[token % TOKENS_MAX];

    return token < tokens->count && drawn == fate->drawn && fate->is_good &&
           fate->changed_ns < since_ns;
}

#endif
