/*
 * Target  gw_frame_decode, gw_frame_encode
 *
 * Input   2 bytes: the largest body allowed, big-endian; then raw bytes, as a device would send
 *         them
 *
 * Oracle  the same frames as a machine that is fed byte by byte; encode returns the very bytes
 *         that were decoded; every proper prefix of a frame is GW_MORE, and a refused header is
 *         refused as soon as it is whole
 */
#include <string.h>

#include <gw/base/assert.h>
#include <gw/base/bytes.h>
#include <gw/wire/frame.h>

#include "fuzz.h"

/* The model: takes one byte at a time and says what has come to its end with it. */
struct machine {
    size_t body_bytes_max;
    unsigned place; /* bytes of the header so far */
    unsigned type, id, field;
    size_t left; /* of the body */
};

enum machine_says { MACHINE_WAITS, MACHINE_HAS_FRAME, MACHINE_REFUSES };

static enum machine_says machine_takes(struct machine *m, uint8_t byte)
{
    switch (m->place) {
    case 0:
        m->type = byte;
        m->id = m->field = 0;
        break;
    case 1:
    case 2:
        m->id = m->id * 256 + byte;
        break;
    case 3:
        m->field = byte;
        break;
    case 4:
        m->field = m->field * 256 + byte;
        m->left = m->type == 0 ? 0 : m->field;
        if (m->left > m->body_bytes_max)
            return MACHINE_REFUSES;
        break;
    default:
        m->left--;
        break;
    }
    m->place += m->place < 5;
    if (m->place < 5 || m->left > 0)
        return MACHINE_WAITS;
    m->place = 0;
    return MACHINE_HAS_FRAME;
}

static void check_frame(struct gw_bytes in, size_t used, const struct gw_frame *frame,
                        const struct machine *m)
{
    static uint8_t again[GW_FRAME_HEADER_BYTES + GW_FRAME_FIELD_BYTES_MAX];

    gw_assert(frame->type == m->type);
    gw_assert(frame->msg_id == m->id);
    gw_assert(frame->status == (m->type == 0 ? m->field : 0));
    gw_assert(frame->body.size == (m->type == 0 ? 0 : m->field));
    gw_assert(frame->body.data == in.data + GW_FRAME_HEADER_BYTES);
    gw_assert(gw_frame_bytes(frame) == used);
    gw_assert(gw_frame_encode(again, used - 1, frame) == 0);
    gw_assert(gw_frame_encode(again, used, frame) == used);
    gw_assert(memcmp(again, in.data, used) == 0);
}

/* Decodes every prefix of `in` up to its end, with the one answer that each must get. */
static void check_prefixes(struct gw_bytes in, size_t end, size_t body_bytes_max, bool refused)
{
    for (size_t cut = 0; cut < end; cut += cut < 64 ? 1 : 61) {
        struct gw_frame frame = {.type = 77};
        size_t used = 1;
        enum gw_status expected = refused && cut >= GW_FRAME_HEADER_BYTES ? GW_BAD_FRAME : GW_MORE;

        gw_assert(gw_frame_decode(gw_bytes_of(in.data, cut), body_bytes_max, &frame, &used) ==
                  expected);
        gw_assert(used == 0 && frame.type == 77);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct machine m = {.body_bytes_max = gw_load_be16(data)};
    struct gw_bytes in = gw_bytes_of(data + 2, size - 2);

    for (;;) {
        enum machine_says says = MACHINE_WAITS;
        size_t taken = 0, used = 1;
        struct gw_frame frame;

        while (taken < in.size && says == MACHINE_WAITS)
            says = machine_takes(&m, in.data[taken++]);
        switch (gw_frame_decode(in, m.body_bytes_max, &frame, &used)) {
        case GW_OK:
            gw_assert(says == MACHINE_HAS_FRAME && used == taken);
            check_frame(in, used, &frame, &m);
            check_prefixes(in, used, m.body_bytes_max, false);
            in = gw_bytes_after(in, used);
            break;
        case GW_MORE:
            gw_assert(says == MACHINE_WAITS && used == 0);
            check_prefixes(in, in.size, m.body_bytes_max, false);
            return 0;
        case GW_BAD_FRAME:
            gw_assert(says == MACHINE_REFUSES && used == 0);
            gw_assert(taken == GW_FRAME_HEADER_BYTES);
            check_prefixes(in, in.size, m.body_bytes_max, true);
            return 0;
        }
    }
}
