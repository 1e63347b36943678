/*
 * Target  gw_batch_decode, gw_batch_next, gw_batch_seal, gw_record_decode, gw_record_encode
 *
 * Input   a batch's bytes, as a disk may hand them back
 *
 * Oracle  no read outside the input; a batch is given out only if sealing what it says gives the
 *         very bytes again (so its hash was right); its records, encoded again, give its body
 *         again; every proper prefix of a sound batch is GW_MORE; no batch is sound under another
 *         seed
 *
 * A random input almost never has the right hash, so each input is tried twice: as it is, and
 * sealed as the body of a batch, which then must come back.
 */
#include <string.h>

#include <gw/base/assert.h>
#include <gw/journal/batch.h>

#include "fuzz.h"

enum { SEED = 7, BODY_BYTES_MAX = 65536 };

static uint8_t again[GW_BATCH_HEADER_BYTES + BODY_BYTES_MAX + GW_BATCH_ALIGN_BYTES];

/* Every record encodes to the bytes it came from, and only padding may stand behind the last. */
static void check_records(const struct gw_batch *batch)
{
    static uint8_t bytes[BODY_BYTES_MAX + GW_BATCH_ALIGN_BYTES];
    struct gw_batch_walk walk = gw_batch_records(batch);
    const uint8_t *at = batch->body.data;
    struct gw_record record;
    uint32_t count = 0;

    for (;;) {
        enum gw_status status = gw_batch_next(&walk, &record);
        size_t size;

        if (status != GW_OK) {
            gw_assert(status == GW_BAD_FRAME || batch->kind != GW_BATCH_RECORDS ||
                      count == batch->count);
            break;
        }
        size = gw_record_bytes(&record);
        gw_assert(at + size <= batch->body.data + batch->body.size);
        gw_record_encode(bytes, &record);
        gw_assert(memcmp(bytes, at, size) == 0);
        at += size;
        count++;
    }
    gw_assert(gw_batch_next(&walk, &record) == GW_MORE);
}

static void check_batch(struct gw_bytes in, size_t used, const struct gw_batch *batch)
{
    struct gw_batch other;
    size_t unused;

    gw_assert(used % GW_BATCH_ALIGN_BYTES == 0 && used <= in.size);
    gw_assert(batch->body.data == in.data + GW_BATCH_HEADER_BYTES);
    gw_assert(batch->body.size == used - GW_BATCH_HEADER_BYTES);
    if (used <= sizeof(again) && batch->sequence > 0 && batch->durable < batch->sequence) {
        memcpy(again + GW_BATCH_HEADER_BYTES, batch->body.data, batch->body.size);
        gw_assert(gw_batch_seal(again, batch, SEED) == used);
        gw_assert(memcmp(again, in.data, used) == 0);
    }
    for (size_t cut = 0; cut < used; cut += cut < 128 ? 1 : 61)
        gw_assert(gw_batch_decode(gw_bytes_of(in.data, cut), SEED, &other, &unused) == GW_MORE);
    gw_assert(gw_batch_decode(in, SEED + 1, &other, &unused) == GW_BAD_FRAME);
    check_records(batch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t sealed[GW_BATCH_HEADER_BYTES + BODY_BYTES_MAX + GW_BATCH_ALIGN_BYTES];
    struct gw_batch batch = {.kind = GW_BATCH_RECORDS, .sequence = 2, .durable = 1, .lane = 3};
    struct gw_bytes in = gw_bytes_of(data, size);
    struct gw_batch out;
    size_t used;

    if (gw_batch_decode(in, SEED, &out, &used) == GW_OK)
        check_batch(in, used, &out);
    else
        gw_assert(used == 0);
    if (size < 1 || size - 1 > BODY_BYTES_MAX)
        return 0;
    /* The first byte says how many records the body claims to hold. */
    batch.count = data[0];
    batch.body = gw_bytes_of(NULL, size - 1);
    if (size > 1)
        memcpy(sealed + GW_BATCH_HEADER_BYTES, data + 1, size - 1);
    in = gw_bytes_of(sealed, gw_batch_seal(sealed, &batch, SEED));
    gw_assert(gw_batch_decode(in, SEED, &out, &used) == GW_OK && used == in.size);
    gw_assert(out.count == batch.count && out.lane == 3 && out.sequence == 2 && out.durable == 1);
    check_batch(in, used, &out);
    return 0;
}
