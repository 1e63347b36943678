#include "registrar.h"

#include <stdio.h>
#include <string.h>

#include <gw/base/assert.h>

#include "pretend_index.h"
#include "pretend_lmdb.h"
#include "pretend_ring.h"

enum {
    ENOUGH_ROUNDS = 4, /* told, claim heard, rechecked, and one to spare */
    UNMOVED = 8,       /* tokens from 0 whose devices stay with their product */
    CHANGE_ONE_STEP_IN = 40,
    HASTY_ONE_STEP_IN = 8,
    LAST_CHANGES = 3,
};

/* For so long a shard waits that could not read what it was told of (gateway/shard/revoke.c). */
#define RETRY_NS UINT64_C(5000000000)

/* ---- the index, made once ---- */

static void draw_token(struct chance *chance, uint8_t token[GW_TOKEN_BYTES])
{
    for (size_t i = 0; i < GW_TOKEN_BYTES; i++)
        token[i] = (uint8_t)chance_below(chance, 256);
}

static int add_devices(struct gw_index_writer *writer, struct world_tokens *tokens)
{
    struct chance chance = {.state = 99};
    int err = 0;

    tokens->count = TOKENS_MAX;
    for (uint32_t i = 0; i <= TOKENS_MAX && err == 0; i++) {
        uint8_t token[GW_TOKEN_BYTES];
        struct gw_device_spec device = {.product = tokens->product[i % 2], .token = token};

        draw_token(&chance, token);
        gw_token_to_text(token, tokens->text[i]);
        if (i == TOKENS_MAX)
            break;
        err = gw_index_device_add(writer, &device, &tokens->device[i]);
        if (err != 0)
            break;
        gw_assert(tokens->device[i] < GW_ARRAY_COUNT(tokens->of_device));
        tokens->of_device[tokens->device[i]] = (uint8_t)i;
        tokens->needs_info[i] = i % 2 == 1;
        tokens->fate[i].is_good = true;
    }
    return err;
}

static int fill(struct gw_index_writer *writer, struct world_tokens *tokens)
{
    struct gw_product_spec products[PRODUCTS] = {
        {.id = gw_bytes_text("TMPLfree"), .flags = GW_PRODUCT_PLAIN_ALLOWED},
        {.id = gw_bytes_text("TMPLtold"),
         .flags = GW_PRODUCT_PLAIN_ALLOWED | GW_PRODUCT_INFO_REQUIRED},
    };
    int err = gw_index_begin(writer);

    if (err == 0)
        err = gw_index_org_add(writer, gw_bytes_text("sim"), &tokens->org);
    for (size_t i = 0; i < PRODUCTS && err == 0; i++) {
        products[i].org = tokens->org;
        err = gw_index_product_add(writer, &products[i], &tokens->product[i]);
    }
    if (err == 0)
        err = add_devices(writer, tokens);
    return err == 0 ? gw_index_commit(writer) : err;
}

bool registry_make(struct registry *registry, const char *path)
{
    struct gw_index_create_options create = {.path = path};
    struct gw_index_options open = {.path = path};
    const char *why = "its rows cannot be written";

    *registry = (struct registry){.index = NULL};
    if (gw_index_create(&create, &why) == 0 &&
        gw_index_writer_open(path, NULL, &registry->writer, &why) == 0 &&
        fill(registry->writer, &registry->tokens) == 0 &&
        gw_index_open(&open, &registry->index, &why) == 0) {
        pretend_lmdb_keep();
        return true;
    }
    fprintf(stderr, "sim: index %s: %s\n", path, why);
    registry_close(registry);
    return false;
}

void registry_close(struct registry *registry)
{
    gw_index_writer_close(registry->writer);
    gw_index_close(registry->index);
    *registry = (struct registry){.index = NULL};
}

/* ---- a world ---- */

void registrar_begin_world(struct registrar *registrar)
{
    pretend_lmdb_restore();
    *registrar->tokens = registrar->registry->tokens;
    int err = gw_index_reader_open(registrar->registry->index, &registrar->reader);

    gw_assert(err == 0);
    registrar->hasty = chance_one_in(registrar->chance, 4);
}

void registrar_hears_of(struct registrar *registrar, uint32_t token)
{
    if (token < registrar->tokens->count)
        registrar->asking[registrar->asking_count++ % ASKING_MAX] = token;
}

void registrar_end_world(struct registrar *registrar)
{
    gw_index_reader_close(registrar->reader);
    pretend_index_fail(NULL, 0);
}

/* 0 while the index cannot be asked. */
static uint64_t newest_change(struct registrar *registrar)
{
    uint64_t newest = 0;
    int err = gw_index_change_newest(registrar->reader, &newest);

    gw_index_reader_pause(registrar->reader);
    return err == 0 ? newest : 0;
}

void registrar_begin_life(struct registrar *registrar)
{
    memset(registrar->losses, 0, sizeof registrar->losses); /* its sessions are gone */
}

/* ---- changes ---- */

static int rotate(struct registrar *registrar, uint32_t token, uint32_t device)
{
    struct world_tokens *tokens = registrar->tokens;
    uint8_t fresh[GW_TOKEN_BYTES];

    draw_token(registrar->chance, fresh);
    gw_token_to_text(fresh, tokens->text[token]);
    tokens->fate[token].revoked = false;
    tokens->fate[token].drawn++;
    tokens->fate[token].drawn_ns = tokens->fate[token].changed_ns = pretend.now_ns;
    return gw_index_token_rotate(registrar->registry->writer, device, fresh);
}

static int move(struct registrar *registrar, uint32_t token, uint32_t device)
{
    struct world_tokens *tokens = registrar->tokens;

    if (token < UNMOVED)
        return 0;
    tokens->needs_info[token] = !tokens->needs_info[token];
    tokens->fate[token].changed_ns = pretend.now_ns;
    return gw_index_device_move(registrar->registry->writer, device,
                                tokens->product[tokens->needs_info[token]]);
}

static int change_token(struct registrar *registrar, uint32_t token)
{
    struct gw_index_writer *writer = registrar->registry->writer;
    struct token_fate *fate = &registrar->tokens->fate[token];
    uint32_t device = registrar->tokens->device[token];

    switch (chance_below(registrar->chance, 5)) {
    case 0:
        fate->disabled = !fate->disabled;
        return gw_index_device_set_disabled(writer, device, fate->disabled);
    case 1:
        if (fate->revoked)
            return rotate(registrar, token, device);
        fate->revoked = true;
        fate->out_of_time = false; /* its times went with it */
        return gw_index_token_revoke(writer, device);
    case 2:
        return rotate(registrar, token, device);
    case 3:
        if (fate->revoked)
            return 0;
        fate->out_of_time = !fate->out_of_time; /* it ended in 1970 */
        return gw_index_token_window(writer, device, 0, fate->out_of_time ? 1 : 0);
    default:
        return move(registrar, token, device);
    }
}

static int change_many(struct registrar *registrar)
{
    struct gw_index_writer *writer = registrar->registry->writer;
    struct world_tokens *tokens = registrar->tokens;
    uint32_t product = chance_below(registrar->chance, PRODUCTS);

    if (chance_one_in(registrar->chance, 3)) {
        tokens->org_closed = !tokens->org_closed;
        return gw_index_org_set_closed(writer, tokens->org, tokens->org_closed);
    }
    tokens->product_closed[product] = !tokens->product_closed[product];
    return gw_index_product_set_closed(writer, tokens->product[product],
                                       tokens->product_closed[product]);
}

/* It had its access back since, and whoever is connected now lost it by a later change. */
static void forget_losses(struct registrar *registrar, uint32_t device)
{
    for (uint32_t i = 0; i < LOSSES_MAX; i++)
        if (registrar->losses[i].device == device)
            registrar->losses[i].device = 0;
}

static void note_losses(struct registrar *registrar)
{
    struct world_tokens *tokens = registrar->tokens;

    for (uint32_t i = 0; i < tokens->count; i++) {
        bool was_good = tokens->fate[i].is_good;

        token_judge(tokens, i, pretend.now_ns);
        if (!was_good || tokens->fate[i].is_good)
            continue;
        forget_losses(registrar, tokens->device[i]);
        registrar->losses[registrar->next_loss++ % LOSSES_MAX] =
            (struct loss){.device = tokens->device[i],
                          .change = registrar->committed,
                          .committed_ns = pretend.now_ns};
    }
}

static uint32_t choose_token(const struct registrar *registrar)
{
    uint32_t count = (uint32_t)gw_min_u64(registrar->asking_count, ASKING_MAX);

    if (!registrar->hasty || count == 0 || chance_one_in(registrar->chance, 4))
        return chance_below(registrar->chance, registrar->tokens->count);
    return registrar->asking[chance_below(registrar->chance, count)];
}

static void change(struct registrar *registrar)
{
    struct chance *chance = registrar->chance;
    bool many = chance_one_in(chance, 8) || registrar->tokens->org_closed ||
                registrar->tokens->product_closed[0];
    int err = gw_index_begin(registrar->registry->writer);

    if (err == 0)
        err = many ? change_many(registrar) : change_token(registrar, choose_token(registrar));
    if (err == 0)
        err = gw_index_commit(registrar->registry->writer);
    gw_assert(err == 0);
    registrar->changes++;
    registrar->committed++;
    note_losses(registrar);
}

void registrar_last_word(struct registrar *registrar)
{
    for (int i = 0; i < LAST_CHANGES; i++)
        change(registrar);
}

void registrar_step(struct registrar *registrar, bool may_change)
{
    const uint32_t change_one_in = registrar->hasty ? HASTY_ONE_STEP_IN : CHANGE_ONE_STEP_IN;
    uint64_t newest;

    if (may_change && chance_one_in(registrar->chance, change_one_in))
        change(registrar);
    if (registrar->told == registrar->committed ||
        (!registrar->hasty && !chance_one_in(registrar->chance, 3)) ||
        (newest = newest_change(registrar)) == 0)
        return;
    for (uint32_t i = 0; i < registrar->life->shard_count; i++)
        gw_shard_index_changed(registrar->life->shards[i], newest);
    registrar->told = registrar->committed;
}

/* ---- what must follow ---- */

void registrar_turned(struct registrar *registrar, uint32_t shard)
{
    for (uint32_t i = 0; i < LOSSES_MAX; i++)
        if (registrar->losses[i].change <= registrar->told)
            registrar->losses[i].turned[shard] = true;
}

static bool lives(const struct life *life, uint32_t wanted)
{
    for (uint32_t i = 0; i < life->shard_count; i++) {
        uint32_t device, cursor = 0;

        while ((device = gw_shard_next_live(life->shards[i], &cursor)) != 0)
            if (device == wanted)
                return true;
    }
    return false;
}

/*
 * What a shard does in a turn follows from what another did in one before, however many turns the
 * rest has had meanwhile. So turns are counted in rounds; and when nobody is awake, nothing
 * follows.
 */
static bool is_enough(struct loss *loss, uint32_t shard_count,
                      bool (*is_awake)(void *context, uint32_t shard), void *context)
{
    bool all_turned = true, any_awake = false;

    for (uint32_t shard = 0; shard < shard_count; shard++) {
        bool awake = is_awake(context, shard);

        all_turned = all_turned && (loss->turned[shard] || !awake);
        any_awake = any_awake || awake;
    }
    if (all_turned) {
        memset(loss->turned, 0, sizeof loss->turned);
        loss->rounds++;
    }
    return loss->rounds >= ENOUGH_ROUNDS || !any_awake;
}

void registrar_check(struct registrar *registrar, bool (*is_awake)(void *context, uint32_t shard),
                     void *context)
{
    const struct world_tokens *tokens = registrar->tokens;

    for (uint32_t i = 0; i < LOSSES_MAX; i++) {
        struct loss *loss = &registrar->losses[i];
        bool done = loss->device != 0 && loss->change <= registrar->told;

        if (pretend_index_failed_ns() != 0 && /* it is asked again later */
            pretend_index_failed_ns() + RETRY_NS >= loss->committed_ns)
            loss->device = 0;
        if (!done || loss->device == 0 ||
            !is_enough(loss, registrar->life->shard_count, is_awake, context))
            continue;
        gw_assert(tokens->fate[tokens->of_device[loss->device]].is_good ||
                  !lives(registrar->life, loss->device));
        loss->device = 0;
    }
}
