/*
 * Many devices at once. LMDB fills a tree from sorted keys three to six times faster than from
 * random ones and leaves its pages full, so the tokens are drawn first, sorted by key, and put in
 * that order; devices are put by number, which is sorted already. One transaction, one change.
 */
#include "writer_internal.h"

#include <assert.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>

enum { PROGRESS_EVERY = 8192, TEXT_LINES = 1024 };

struct entry {
    uint64_t key;
    uint32_t at; /* which of the drawn tokens */
};

struct plan {
    uint32_t product, first, count;
    struct gw_product_row row;
    uint8_t (*tokens)[GW_TOKEN_BYTES];
    struct entry *entries;
};

static int by_key(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;

    return left->key < right->key ? -1 : left->key > right->key;
}

/* Before the commit: a token that is in the index but in no file would be lost for good. */
static int write_tokens(const struct plan *plan, FILE *to)
{
    static_assert(GW_TOKEN_TEXT_BYTES == 32, "the line below has room for it");
    char lines[TEXT_LINES][GW_TOKEN_TEXT_BYTES + 1];
    int err = 0;

    for (uint32_t done = 0; done < plan->count && err == 0; done += TEXT_LINES) {
        const uint32_t some =
            plan->count - done < TEXT_LINES ? plan->count - done : (uint32_t)TEXT_LINES;

        for (uint32_t i = 0; i < some; i++) {
            gw_token_to_text(plan->tokens[done + i], lines[i]);
            lines[i][GW_TOKEN_TEXT_BYTES] = '\n';
        }
        if (fwrite(lines, sizeof lines[0], some, to) != some)
            err = errno != 0 ? -errno : -EIO;
    }
    if (err == 0 && fflush(to) != 0)
        err = -errno;
    gw_wipe(lines, sizeof lines);
    return err;
}

static int put_token_rows(struct gw_index_writer *writer, const struct plan *plan,
                          bool (*progress)(void *context, uint32_t done), void *context)
{
    struct gw_token_row row = {.product = plan->product,
                               .org = plan->row.org,
                               .generation = 1,
                               .quota_class = plan->row.quota_class,
                               .pepper_version = writer->meta.pepper_version};
    const bool empty = writer->meta.tokens == 0;
    uint8_t bytes[GW_ROW_BYTES_MAX];
    int err = 0;

    for (uint32_t i = 0; i < plan->count && err == 0; i++) {
        const struct entry *entry = &plan->entries[i];
        const bool collides = i > 0 && plan->entries[i - 1].key == entry->key;

        gw_store_verifier(&writer->store, plan->tokens[entry->at], row.verifier);
        row.device = plan->first + entry->at;
        err = gw_writer_put(writer, GW_TABLE_TOKENS, &entry->key, sizeof entry->key, bytes,
                            gw_token_row_pack(entry->key, &row, bytes),
                            empty && !collides ? MDB_APPEND : MDB_NODUPDATA);
        if (progress != NULL && err == 0 && i % PROGRESS_EVERY == 0 && !progress(context, i))
            err = gw_writer_fail(writer, -ECANCELED);
    }
    return err;
}

static int put_device_rows(struct gw_index_writer *writer, const struct plan *plan,
                           const uint64_t *keys)
{
    struct gw_device_row row = {.has_token = true,
                                .product = plan->product,
                                .org = plan->row.org,
                                .generation = 1,
                                .token_generation = 1,
                                .created_s = writer->now_us / 1000000};
    uint8_t bytes[GW_ROW_BYTES_MAX];
    int err = 0;

    for (uint32_t i = 0; i < plan->count && err == 0; i++) {
        const uint32_t number = plan->first + i;

        row.token_key = keys[i];
        err = gw_writer_put(writer, GW_TABLE_DEVICES, &number, sizeof number, bytes,
                            gw_device_row_pack(number, &row, bytes), MDB_APPEND);
    }
    return err;
}

static int fill(struct gw_index_writer *writer, struct plan *plan, uint64_t *keys,
                bool (*progress)(void *context, uint32_t done), void *context)
{
    int err;

    for (uint32_t i = 0; i < plan->count; i++) {
        gw_random(plan->tokens[i], GW_TOKEN_BYTES);
        keys[i] = gw_store_key(plan->tokens[i], writer->meta.hash_seed);
        plan->entries[i] = (struct entry){.key = keys[i], .at = i};
    }
    qsort(plan->entries, plan->count, sizeof *plan->entries, by_key);
    if ((err = put_device_rows(writer, plan, keys)) != 0 ||
        (err = put_token_rows(writer, plan, progress, context)) != 0)
        return err;
    writer->meta.next_device += plan->count;
    writer->meta.devices += plan->count;
    writer->meta.tokens += plan->count;
    return gw_writer_note(writer, GW_INDEX_DEVICES_ADDED,
                          (struct gw_change_row){.device = plan->first,
                                                 .product = plan->product,
                                                 .org = plan->row.org,
                                                 .generation = 1,
                                                 .count = plan->count});
}

int gw_index_generate(struct gw_index_writer *writer, uint32_t product, uint32_t count,
                      FILE *tokens, bool (*progress)(void *context, uint32_t done), void *context,
                      uint32_t *first)
{
    struct plan plan = {.product = product, .first = writer->meta.next_device, .count = count};
    uint64_t *keys = NULL;
    int err = gw_view_product(&writer->view, product, &plan.row);

    if (err != 0)
        return err == -ENOENT ? err : gw_writer_fail(writer, err);
    if (count == 0 || count > UINT32_MAX - plan.first)
        return -EINVAL;
    plan.tokens = calloc(count, sizeof *plan.tokens);
    plan.entries = calloc(count, sizeof *plan.entries);
    keys = calloc(count, sizeof *keys);
    err = plan.tokens == NULL || plan.entries == NULL || keys == NULL ? -ENOMEM : 0;
    if (err == 0)
        err = fill(writer, &plan, keys, progress, context);
    if (err == 0)
        err = write_tokens(&plan, tokens);
    if (plan.tokens != NULL)
        gw_wipe(plan.tokens, (size_t)count * sizeof *plan.tokens);
    free(plan.tokens);
    free(plan.entries);
    free(keys);
    if (err == 0)
        *first = plan.first;
    return gw_writer_fail(writer, err);
}
