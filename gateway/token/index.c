/*
 * The reader: from a token to a grant, without a lock, on any number of threads.
 *
 * A reader keeps one read transaction and renews it for the first question of a turn. When the
 * transaction shows another commit than the last one, or the memory of what was served changed, the
 * index is judged anew (authority.c); between commits that costs one comparison.
 *
 * A login does the same work whatever its outcome: hash, HMAC, look-up, comparison with a row (a
 * dummy one on a miss), then product and organisation, which the reader keeps between commits.
 *
 * I1  UNKNOWN is said only after a look-up without error, without a damaged row under the key, in
 *     an index of full authority. Everything else that goes wrong is UNAVAILABLE.
 * I2  No transaction is open after gw_index_reader_pause.
 * I3  The mark that a transaction is judged by was copied before the transaction began. Taken
 *     later, it may already tell of a commit that the transaction does not see, and the index
 *     would look rolled back.
 * I4  Rows that are kept beyond a turn are those of the transaction that was judged last.
 */
#include <gw/token/index.h>

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>
#include <gw/token/catalog.h>

#include "authority_internal.h"
#include "store_internal.h"

struct gw_index {
    struct gw_store store;
    _Atomic uint32_t epoch; /* grows when `mark` changes or `replaced` is found */
    atomic_bool replaced;
    pthread_mutex_t lock; /* of `mark`; taken once per save and reader */
    struct gw_high_water mark;
    char high_water[PATH_MAX]; /* empty: no memory */
};

/*
 * A product and its organisation as one transaction shows them: nearly every login of a fleet asks
 * for the same few, and between commits their rows cannot change.
 */
struct known_product {
    uint32_t number; /* 0: nothing is kept here; no product has that number */
    int product_err, org_err;
    struct gw_product_row product;
    bool org_closed;
};

enum { PRODUCTS_KEPT = 64 };

struct gw_index_reader {
    struct gw_index *index;
    struct gw_index_view view;
    MDB_cursor *tokens;
    bool in_turn;
    uint32_t mark_epoch; /* of the copy below; 0: none was taken yet */
    struct gw_high_water mark;
    bool judged; /* the three below are of use */
    size_t judged_txn;
    struct gw_meta meta;
    struct gw_authority authority;
    struct known_product products[PRODUCTS_KEPT]; /* I4; by number, modulo their count */
};

int gw_index_open(const struct gw_index_options *options, struct gw_index **out, const char **why)
{
    struct gw_index *index = calloc(1, sizeof *index);
    int err;

    gw_assert(options->path != NULL);
    *why = "out of memory";
    if (index == NULL)
        return -ENOMEM;
    if (options->high_water != NULL) {
        *why = "the path of the high-water file is too long";
        if ((size_t)snprintf(index->high_water, sizeof index->high_water, "%s",
                             options->high_water) >= sizeof index->high_water) {
            free(index);
            return -ENAMETOOLONG;
        }
        err = gw_high_water_load(index->high_water, &index->mark);
        if (err != 0) {
            *why = err == -EPROTO ? "the high-water file is damaged; if the index is known to be "
                                    "good, remove the file"
                                  : "the high-water file cannot be read";
            free(index);
            return err;
        }
    }
    err = gw_store_open(&index->store, options->path, options->pepper, GW_STORE_READ, why);
    if (err != 0) {
        free(index);
        return err;
    }
    gw_assert(pthread_mutex_init(&index->lock, NULL) == 0);
    atomic_init(&index->epoch, 1);
    *out = index;
    return 0;
}

void gw_index_close(struct gw_index *index)
{
    if (index == NULL)
        return;
    gw_store_close(&index->store);
    gw_assert(pthread_mutex_destroy(&index->lock) == 0);
    free(index);
}

int gw_index_reader_open(struct gw_index *index, struct gw_index_reader **out)
{
    struct gw_index_reader *reader = calloc(1, sizeof *reader);
    int err;

    if (reader == NULL)
        return -ENOMEM;
    reader->index = index;
    reader->view.store = &index->store;
    err = mdb_txn_begin(index->store.env, NULL, MDB_RDONLY, &reader->view.txn);
    if (err == MDB_READERS_FULL) {
        int dead;

        /* Slots of processes that were killed are only freed when someone looks. */
        (void)mdb_reader_check(index->store.env, &dead);
        err = mdb_txn_begin(index->store.env, NULL, MDB_RDONLY, &reader->view.txn);
    }
    if (err != 0) {
        free(reader);
        return gw_store_error(err);
    }
    err = mdb_cursor_open(reader->view.txn, index->store.tables[GW_TABLE_TOKENS], &reader->tokens);
    if (err != 0) {
        mdb_txn_abort(reader->view.txn);
        free(reader);
        return gw_store_error(err);
    }
    mdb_txn_reset(reader->view.txn);
    *out = reader;
    return 0;
}

void gw_index_reader_close(struct gw_index_reader *reader)
{
    if (reader == NULL)
        return;
    mdb_cursor_close(reader->tokens);
    mdb_txn_abort(reader->view.txn);
    free(reader);
}

void gw_index_reader_pause(struct gw_index_reader *reader)
{
    if (reader->in_turn)
        mdb_txn_reset(reader->view.txn);
    reader->in_turn = false;
}

/* Takes a copy of what was served, if that changed since the last one. */
static void refresh_mark(struct gw_index_reader *reader)
{
    struct gw_index *index = reader->index;
    const uint32_t epoch = atomic_load_explicit(&index->epoch, memory_order_acquire);

    if (reader->mark_epoch == epoch)
        return;
    gw_assert(pthread_mutex_lock(&index->lock) == 0);
    reader->mark = index->mark;
    gw_assert(pthread_mutex_unlock(&index->lock) == 0);
    reader->mark_epoch = epoch;
    reader->judged = false;
}

/* Reads the head row and judges the index as this transaction shows it. */
static int judge(struct gw_index_reader *reader)
{
    struct gw_index *index = reader->index;
    MDB_stat rows;
    int err = gw_view_meta(&reader->view, &reader->meta);

    reader->judged = false;
    for (size_t i = 0; i < GW_ARRAY_COUNT(reader->products); i++) /* I4 */
        reader->products[i].number = 0;
    if (err != 0)
        return err;
    err = mdb_stat(reader->view.txn, index->store.tables[GW_TABLE_TOKENS], &rows);
    if (err != 0)
        return gw_store_error(err);
    reader->authority = gw_authority_judge(&reader->meta, rows.ms_entries, &reader->mark);
    if (reader->authority.level == GW_AUTHORITY_FULL && atomic_load(&index->replaced))
        reader->authority = (struct gw_authority){
            GW_AUTHORITY_HITS, "it was replaced as a whole; restart the gateway to serve the new"};
    reader->judged = true;
    reader->judged_txn = mdb_txn_id(reader->view.txn);
    return 0;
}

/* Begins the turn's transaction if there is none; afterwards meta and authority are current. */
static int turn(struct gw_index_reader *reader)
{
    int err;

    if (!reader->in_turn) {
        refresh_mark(reader); /* I3 */
        if ((err = mdb_txn_renew(reader->view.txn)) != 0)
            return gw_store_error(err);
        if ((err = mdb_cursor_renew(reader->view.txn, reader->tokens)) != 0) {
            mdb_txn_reset(reader->view.txn); /* a cursor of the turn before would see old pages */
            return gw_store_error(err);
        }
        reader->in_turn = true;
    }
    if (reader->judged && reader->judged_txn == mdb_txn_id(reader->view.txn))
        return 0;
    return judge(reader);
}

int gw_index_preload(struct gw_index_reader *reader, struct gw_instant until, uint64_t *rows)
{
    enum { LOOK_AT_THE_CLOCK_EVERY = 4096 };
    MDB_val key, row;
    int err = turn(reader);

    *rows = 0;
    for (MDB_cursor_op to = MDB_FIRST; err == 0; to = MDB_NEXT) {
        if (*rows % LOOK_AT_THE_CLOCK_EVERY == 0 && gw_clock_now().ns >= until.ns)
            return 0;
        err = mdb_cursor_get(reader->tokens, &key, &row, to);
        if (err == MDB_NOTFOUND)
            return 0;
        err = gw_store_error(err);
        *rows += err == 0;
    }
    return err;
}

/* In the turn's transaction. */
static const struct known_product *product_at(struct gw_index_reader *reader, uint32_t number)
{
    struct known_product *known = &reader->products[number % PRODUCTS_KEPT];
    struct gw_org_row org = {.closed = true};

    if (known->number == number && number != 0)
        return known;
    *known = (struct known_product){.number = number};
    known->product_err = gw_view_product(&reader->view, number, &known->product);
    known->org_err = known->product_err != 0 ? known->product_err
                                             : gw_view_org(&reader->view, known->product.org, &org);
    known->org_closed = org.closed;
    if (known->product_err != 0 || known->org_err != 0)
        known->number = 0; /* an error is told and not kept: it may pass */
    return known;
}

/* What product, organisation and the row's own state say about a token that is there. */
static enum gw_login decide(struct gw_index_reader *reader, const struct gw_token_row *row,
                            bool over_tls, uint64_t now_s, struct gw_grant *out)
{
    const struct known_product *known = product_at(reader, row->product);
    const struct gw_product_row *product = &known->product;

    /* A row that points at nothing, or elsewhere than its product, is damage: never a refusal. */
    if (known->product_err != 0 || known->org_err != 0 || product->org != row->org ||
        row->pepper_version != reader->meta.pepper_version)
        return GW_LOGIN_UNAVAILABLE;
    if (row->disabled)
        return GW_LOGIN_DISABLED;
    if (product->closed || known->org_closed)
        return GW_LOGIN_CLOSED;
    if (now_s < row->not_before_s || (row->not_after_s != 0 && now_s > row->not_after_s))
        return GW_LOGIN_NOT_NOW;
    if (!over_tls && (product->flags & GW_PRODUCT_PLAIN_ALLOWED) == 0)
        return GW_LOGIN_PLAIN;
    *out = (struct gw_grant){
        .device = row->device,
        .product = row->product,
        .org = row->org,
        .generation = row->generation,
        .product_flags = product->flags,
        .quota_class = row->quota_class,
    };
    return GW_LOGIN_GRANTED;
}

enum gw_login gw_index_login(struct gw_index_reader *reader, const uint8_t token[GW_TOKEN_BYTES],
                             bool over_tls, uint64_t now_s, struct gw_grant *out)
{
    static const uint8_t no_token[GW_TOKEN_BYTES], no_row[GW_TOKEN_ROW_BYTES];
    uint8_t verifier[GW_VERIFIER_BYTES];
    struct gw_token_row row;
    struct gw_grant grant;
    enum gw_login answer;
    uint64_t key;
    int err;

    if (turn(reader) != 0)
        return GW_LOGIN_UNAVAILABLE;
    key = gw_store_key(token != NULL ? token : no_token, reader->meta.hash_seed);
    gw_store_verifier(&reader->index->store, token != NULL ? token : no_token, verifier);
    err = gw_tokens_find_verifier(reader->tokens, key, verifier, &row);
    if (err != 0) {
        /* All that a hit does: a row's seal is looked at, then a product and an organisation, of
         * which the first exist wherever a token does. */
        bool is_sealed = gw_token_row_unpack(key, gw_bytes_of(no_row, sizeof no_row), &row);

        row = (struct gw_token_row){
            .device = 1, .product = 1, .org = 1, .pepper_version = reader->meta.pepper_version};
        if (is_sealed || gw_equal_secret(row.verifier, verifier, sizeof verifier))
            err = -EBADMSG; /* the dummy can match nobody's token, or we are in deep trouble */
    }
    gw_wipe(verifier, sizeof verifier);
    answer = decide(reader, &row, over_tls, now_s, &grant);
    if (reader->authority.level == GW_AUTHORITY_NONE || (err != 0 && err != -ENOENT))
        return GW_LOGIN_UNAVAILABLE;
    if (err == -ENOENT || token == NULL) /* I1 */
        return reader->authority.level == GW_AUTHORITY_FULL ? GW_LOGIN_UNKNOWN
                                                            : GW_LOGIN_UNAVAILABLE;
    if (answer == GW_LOGIN_GRANTED)
        *out = grant;
    return answer;
}

enum gw_login gw_index_recheck(struct gw_index_reader *reader, uint32_t device, uint32_t generation,
                               bool over_tls, uint64_t now_s, struct gw_grant *out)
{
    struct gw_device_row held;
    struct gw_token_row row;

    if (turn(reader) != 0 || reader->authority.level == GW_AUTHORITY_NONE)
        return GW_LOGIN_UNAVAILABLE;
    /* A device's row is never deleted: without one we know nothing, least of all a revocation. */
    if (gw_view_device(&reader->view, device, &held) != 0)
        return GW_LOGIN_UNAVAILABLE;
    if (!held.has_token || generation < held.token_generation)
        return GW_LOGIN_UNKNOWN;
    if (generation > held.generation ||
        gw_tokens_find_device(reader->tokens, held.token_key, device, &row) != 0)
        return GW_LOGIN_UNAVAILABLE;
    return decide(reader, &row, over_tls, now_s, out);
}

int gw_index_product_is(struct gw_index_reader *reader, uint32_t number, struct gw_bytes id,
                        bool *is)
{
    /* Length and padded text side by side: one comparison, whatever the lengths. */
    uint8_t ours[1 + GW_PRODUCT_ID_BYTES_MAX] = {0}, theirs[1 + GW_PRODUCT_ID_BYTES_MAX] = {0};
    const struct known_product *known;
    int err = turn(reader);

    *is = false;
    if (err != 0)
        return err;
    known = product_at(reader, number);
    if (known->product_err == -ENOENT || id.size > GW_PRODUCT_ID_BYTES_MAX)
        return 0;
    if (known->product_err != 0)
        return known->product_err;
    ours[0] = known->product.id_bytes;
    memcpy(ours + 1, known->product.id, known->product.id_bytes);
    theirs[0] = (uint8_t)id.size;
    if (id.size != 0)
        memcpy(theirs + 1, id.data, id.size);
    *is = gw_equal_secret(ours, theirs, sizeof ours);
    return 0;
}

int gw_index_change_newest(struct gw_index_reader *reader, uint64_t *out)
{
    const int err = turn(reader);

    if (err == 0)
        *out = reader->meta.change_next - 1;
    return err;
}

int gw_index_changes(struct gw_index_reader *reader, uint64_t after, struct gw_index_change *out,
                     size_t capacity, size_t *count)
{
    uint64_t sequence = after + 1;
    MDB_cursor *cursor;
    MDB_val key = gw_val_of(&sequence, sizeof sequence), value;
    int err = turn(reader);

    *count = 0;
    if (err != 0)
        return err;
    if (after + 1 < reader->meta.change_first || after >= reader->meta.change_next)
        return -ERANGE;
    if (after + 1 == reader->meta.change_next)
        return 0;
    err = mdb_cursor_open(reader->view.txn, reader->index->store.tables[GW_TABLE_CHANGES], &cursor);
    if (err != 0)
        return gw_store_error(err);
    for (err = mdb_cursor_get(cursor, &key, &value, MDB_SET_KEY); err == 0 && *count < capacity;
         err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        struct gw_change_row row;

        sequence = after + 1 + *count;
        if (key.mv_size != sizeof sequence ||
            memcmp(key.mv_data, &sequence, sizeof sequence) != 0 ||
            !gw_change_row_unpack(sequence, gw_bytes_of_val(value), &row)) {
            err = MDB_CORRUPTED;
            break;
        }
        out[(*count)++] = (struct gw_index_change){
            .sequence = sequence,
            .at_us = row.at_us,
            .kind = (enum gw_index_change_kind)row.kind,
            .device = row.device,
            .product = row.product,
            .org = row.org,
            .generation = row.generation,
            .count = row.count,
        };
    }
    mdb_cursor_close(cursor);
    /* The head row promised a change after `after`: none at all is damage. */
    if (err == MDB_NOTFOUND)
        err = *count == 0 ? MDB_CORRUPTED : 0;
    return gw_store_error(err);
}

bool gw_index_replaced(struct gw_index *index)
{
    if (!atomic_load(&index->replaced) && !gw_store_is_current(&index->store)) {
        atomic_store(&index->replaced, true);
        atomic_fetch_add_explicit(&index->epoch, 1, memory_order_release);
    }
    return atomic_load(&index->replaced);
}

uint32_t gw_index_token_tag(const struct gw_index *index, const uint8_t token[GW_TOKEN_BYTES])
{
    uint8_t mac[GW_SHA256_BYTES];
    uint32_t tag;

    gw_hmac_sha256_keyed(&index->store.tag_key, gw_bytes_of(token, GW_TOKEN_BYTES), mac);
    tag = gw_load_le32(mac);
    gw_wipe(mac, sizeof mac);
    return tag;
}

int gw_index_stat(struct gw_index_reader *reader, struct gw_index_stat *out)
{
    const int err = turn(reader);

    if (err != 0)
        return err;
    *out = (struct gw_index_stat){
        .generation = reader->meta.generation,
        .tokens = reader->meta.tokens,
        .products = reader->meta.products,
        .devices = reader->meta.devices,
        .orgs = reader->meta.orgs,
        .complete = reader->meta.complete,
        .authoritative = reader->authority.level == GW_AUTHORITY_FULL,
        .why_not = reader->authority.why_not,
    };
    return 0;
}

int gw_index_high_water_save(struct gw_index_reader *reader)
{
    struct gw_index *index = reader->index;
    struct gw_high_water mark = {.known = true};
    int err = turn(reader);

    if (err != 0 || index->high_water[0] == '\0')
        return err;
    if (reader->authority.level != GW_AUTHORITY_FULL)
        return -ESTALE;
    memcpy(mark.lineage, reader->meta.lineage, sizeof mark.lineage);
    mark.generation = reader->meta.generation;
    mark.tokens = reader->meta.tokens;
    gw_index_reader_pause(reader); /* an fsync is a wait */
    if (index->mark.known && index->mark.generation == mark.generation &&
        memcmp(index->mark.lineage, mark.lineage, sizeof mark.lineage) == 0)
        return 0; /* only this thread writes the mark, so it may read it without the lock */
    err = gw_high_water_store(index->high_water, &mark);
    if (err != 0)
        return err;
    gw_assert(pthread_mutex_lock(&index->lock) == 0);
    index->mark = mark;
    gw_assert(pthread_mutex_unlock(&index->lock) == 0);
    atomic_fetch_add_explicit(&index->epoch, 1, memory_order_release);
    return 0;
}

const struct gw_index_view *gw_index_reader_view(struct gw_index_reader *reader)
{
    return turn(reader) == 0 ? &reader->view : NULL;
}
