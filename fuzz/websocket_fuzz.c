/*
 * Target  gw_websocket_read
 *
 * Input   raw bytes, as a client would send them once the connection is a WebSocket
 *
 * Oracle  a machine that takes one byte at a time: the same data, the same number of control
 *         frames, the same newest Ping and the same end, whether the stream is read whole or in
 *         pieces; no byte behind the input is looked at
 */
#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>
#include <gw/websocket/stream.h>

#include "fuzz.h"

enum { INPUT_BYTES_MAX = 4096, MESSAGE_BYTES_MAX = 700 };

/* What is known of a stream's beginning. */
struct seen {
    uint8_t data[INPUT_BYTES_MAX];
    size_t data_bytes;
    uint32_t controls;
    bool pinged;
    uint8_t ping[128];
    size_t ping_bytes;
    unsigned code;
    bool refused;
};

/* ---- the model: a byte at a time, each field of a header by its place ---- */

struct machine {
    struct seen seen;
    uint8_t header[14];
    size_t place, header_bytes; /* of the header; what it will have, once known            */
    uint64_t left, at;          /* of the payload                                          */
    uint64_t message;           /* bytes of the message so far                             */
    bool open;                  /* a fragment was not the last                             */
    bool text;                  /* of that message: nobody reads it                        */
    uint8_t control[128];
};

static void fail(struct machine *m, unsigned code)
{
    m->seen.code = code;
    m->seen.refused = true;
}

static void end_control(struct machine *m)
{
    unsigned opcode = m->header[0] % 16, code;

    m->seen.controls++;
    if (opcode == 9) {
        m->seen.pinged = true;
        m->seen.ping_bytes = m->at;
        memcpy(m->seen.ping, m->control, m->at);
    } else if (opcode == 8) {
        code = m->at == 0 ? 1000 : m->at == 1 ? 0 : m->control[0] * 256u + m->control[1];
        if ((code >= 3000 && code < 5000) || (code >= 1000 && code < 1004) ||
            (code >= 1007 && code < 1015))
            m->seen.code = code;
        else
            fail(m, 1002);
    } else if (opcode != 10) {
        fail(m, 1002);
    }
}

static void end_header(struct machine *m)
{
    unsigned opcode = m->header[0] % 16, field = m->header[1] % 128;

    m->left = field;
    m->at = 0;
    if (field >= 126) {
        m->left = 0;
        for (size_t i = 2; i < m->header_bytes - 4; i++)
            m->left = m->left * 256 + m->header[i];
        if (m->left < (field == 126 ? 126u : 65536u) || m->left >= (uint64_t)1 << 63) {
            fail(m, 1002);
            return;
        }
    }
    if (opcode >= 8) {
        if (m->left == 0)
            end_control(m);
        return;
    }
    if (m->open ? opcode != 0 : opcode != 1 && opcode != 2) {
        fail(m, 1002);
    } else {
        if (opcode != 0)
            m->text = opcode == 1;
        m->message = (m->open ? m->message : 0) + m->left;
        if (m->message > MESSAGE_BYTES_MAX)
            fail(m, 1009);
        m->open = m->header[0] < 128;
    }
}

static void machine_takes(struct machine *m, uint8_t byte)
{
    if (m->left > 0) {
        byte ^= m->header[m->header_bytes - 4 + m->at % 4];
        if (m->header[0] % 16 >= 8)
            m->control[m->at] = byte;
        else if (!m->text)
            m->seen.data[m->seen.data_bytes++] = byte;
        m->at++;
        if (--m->left == 0 && m->header[0] % 16 >= 8)
            end_control(m);
        return;
    }
    m->header[m->place++] = byte;
    if (m->place == 2) {
        unsigned field = byte % 128;

        m->header_bytes = 6u + (field == 126 ? 2u : field == 127 ? 8u : 0u);
        if (m->header[0] / 16 % 8 != 0 || byte < 128 ||
            (m->header[0] % 16 >= 8 && (m->header[0] < 128 || field > 125)))
            fail(m, 1002);
    }
    if (m->place > 2 && m->place == m->header_bytes) {
        m->place = 0;
        end_header(m);
    }
}

/* ---- the target, in pieces of `step` bytes ---- */

static void read_in_steps(const uint8_t *data, size_t size, size_t step, struct seen *out)
{
    struct gw_websocket stream = {.frame_left = 0};
    uint8_t unread[GW_WEBSOCKET_UNREAD_BYTES_MAX];
    size_t unread_bytes = 0;

    *out = (struct seen){.data_bytes = 0};
    for (size_t at = 0; at < size; at += step) {
        size_t piece = step < size - at ? step : size - at, all = unread_bytes + piece;
        uint8_t *exact = malloc(all);
        struct gw_websocket_input input;

        gw_assert(exact != NULL);
        memcpy(exact, unread, unread_bytes);
        memcpy(exact + unread_bytes, data + at, piece);
        gw_websocket_read(&stream, MESSAGE_BYTES_MAX, exact, all, &input);
        gw_assert(input.data_bytes <= input.used && input.used <= all);
        memcpy(out->data + out->data_bytes, exact, input.data_bytes);
        out->data_bytes += input.data_bytes;
        out->controls += input.control_count;
        if (input.pinged) {
            out->pinged = true;
            out->ping_bytes = input.ping_bytes;
            memcpy(out->ping, input.ping, input.ping_bytes);
        }
        unread_bytes = all - input.used;
        gw_assert(unread_bytes < sizeof unread);
        memcpy(unread, exact + input.used, unread_bytes);
        free(exact);
    }
    out->code = stream.close_code;
    out->refused = stream.refused;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t steps[] = {1, 2, 3, 5, 13, 130, INPUT_BYTES_MAX};
    static struct machine model;
    static struct seen seen;

    if (size > INPUT_BYTES_MAX)
        return 0;
    model = (struct machine){.place = 0};
    for (size_t i = 0; i < size && model.seen.code == 0; i++)
        machine_takes(&model, data[i]);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        read_in_steps(data, size, steps[i], &seen);
        gw_assert(seen.data_bytes == model.seen.data_bytes);
        gw_assert(memcmp(seen.data, model.seen.data, seen.data_bytes) == 0);
        gw_assert(seen.controls == model.seen.controls && seen.pinged == model.seen.pinged);
        gw_assert(seen.ping_bytes == model.seen.ping_bytes);
        gw_assert(memcmp(seen.ping, model.seen.ping, seen.ping_bytes) == 0);
        gw_assert(seen.code == model.seen.code && seen.refused == model.seen.refused);
    }
    return 0;
}
