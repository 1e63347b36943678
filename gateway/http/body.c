/*
 * Bodies: a length that was announced, or chunks (RFC 9112 7.1). Chunks are decoded from the first
 * each time more of them has come, which is why their limit is a lower one.
 */
#include "http_internal.h"

#include <string.h>

#include <gw/base/assert.h>

enum {
    CHUNK_DIGITS_MAX = 8,            /* more than any limit; leading zeros count */
    CHUNK_EXTENSION_BYTES_MAX = 256, /* RFC 9112 7.1.1: a recipient ought to limit them */
    CHUNK_LINE_BYTES_MAX = CHUNK_DIGITS_MAX + CHUNK_EXTENSION_BYTES_MAX + 2,
};

static enum gw_status refuse(struct gw_http_body *out, enum gw_http_fault fault)
{
    out->fault = fault;
    return GW_BAD_FRAME;
}

/* chunk-size [ chunk-ext ]: digits first, and nothing between them and what follows. */
static enum gw_http_fault read_chunk_line(struct gw_bytes line, uint64_t *size)
{
    size_t digits = 0;

    *size = 0;
    while (digits < line.size && http_hex_digit(line.data[digits]) >= 0) {
        if (digits == CHUNK_DIGITS_MAX)
            return GW_HTTP_FAULT_CHUNK_SIZE;
        *size = *size * 16 + (uint64_t)http_hex_digit(line.data[digits++]);
    }
    if (digits == 0)
        return GW_HTTP_FAULT_CHUNK_SIZE;
    line = gw_bytes_after(line, digits);
    if (line.size == 0)
        return GW_HTTP_FAULT_NONE;
    if (line.data[0] != ';')
        return GW_HTTP_FAULT_CHUNK_SIZE;
    if (line.size > CHUNK_EXTENSION_BYTES_MAX)
        return GW_HTTP_FAULT_CHUNK_EXTENSION;
    for (size_t i = 0; i < line.size; i++)
        if ((line.data[i] < ' ' && line.data[i] != '\t') || line.data[i] >= 0x7f)
            return GW_HTTP_FAULT_CHUNK_EXTENSION;
    return GW_HTTP_FAULT_NONE;
}

/*
 * RFC 9110 6.5.1: fields that say where a message ends or whom it is for have no place behind it.
 * Whoever stands before us may take them for more than we do.
 */
static bool is_no_trailer(struct gw_bytes name)
{
    return http_equals(name, "content-length") || http_equals(name, "transfer-encoding") ||
           http_equals(name, "host");
}

/* RFC 9112 7.1.2: fields, up to an empty line. None of them changes what was read. */
static enum gw_status skip_trailers(struct gw_bytes *rest, enum gw_http_fault *fault)
{
    struct gw_bytes line = {.size = 0}, name, value;
    enum gw_status status;

    while ((status = http_take_line(rest, &line, fault)) == GW_OK && line.size > 0) {
        *fault = http_read_field(line, &name, &value);
        if (*fault == GW_HTTP_FAULT_NONE && is_no_trailer(name))
            *fault = GW_HTTP_FAULT_TRAILER;
        if (*fault != GW_HTTP_FAULT_NONE)
            return GW_BAD_FRAME;
    }
    return status;
}

static enum gw_status read_chunks(struct gw_bytes in, const struct gw_http_limits *limits,
                                  uint8_t *room, struct gw_http_body *out)
{
    struct gw_bytes rest = in, line;
    enum gw_http_fault fault = GW_HTTP_FAULT_NONE;
    enum gw_status status;
    uint64_t size;
    size_t bytes = 0;

    for (;;) {
        /* Looked for no further than it may reach, so that what follows does not change the fault.
         */
        struct gw_bytes head = gw_bytes_of(rest.data, gw_min_u64(rest.size, CHUNK_LINE_BYTES_MAX));
        size_t head_bytes = head.size;

        status = http_take_line(&head, &line, &fault);
        if (status == GW_BAD_FRAME)
            return refuse(out, fault);
        if (status == GW_MORE && head_bytes == CHUNK_LINE_BYTES_MAX)
            return refuse(out, read_chunk_line(head, &size));
        if (status == GW_MORE) {
            out->need = in.size + 1;
            return GW_MORE;
        }
        gw_assert(rest.data != NULL); /* it held a line */
        rest = gw_bytes_after(rest, head_bytes - head.size);
        if ((fault = read_chunk_line(line, &size)) != GW_HTTP_FAULT_NONE)
            return refuse(out, fault);
        if (size == 0)
            break;
        size_t begin = in.size - rest.size;

        if (begin + size + 2 > limits->chunked_bytes_max)
            return refuse(out, GW_HTTP_FAULT_BODY_TOO_LARGE);
        if ((rest.size > size && rest.data[size] != '\r') ||
            (rest.size > size + 1 && rest.data[size + 1] != '\n'))
            return refuse(out, GW_HTTP_FAULT_CHUNK_END);
        if (rest.size < size + 2) {
            out->need = begin + size + 2;
            return GW_MORE;
        }
        memcpy(room + bytes, rest.data, size);
        bytes += size;
        rest = gw_bytes_after(rest, size + 2);
    }
    if ((status = skip_trailers(&rest, &fault)) != GW_OK) {
        out->need = in.size + 1;
        return status == GW_MORE ? GW_MORE : refuse(out, fault);
    }
    out->bytes = gw_bytes_of(room, bytes);
    out->used = in.size - rest.size;
    return GW_OK;
}

enum gw_status gw_http_body_read(struct gw_bytes in, const struct gw_http_request *request,
                                 const struct gw_http_limits *limits, uint8_t *room,
                                 struct gw_http_body *out)
{
    *out = (struct gw_http_body){.fault = GW_HTTP_FAULT_NONE};
    if (!request->chunked) {
        out->need = out->used = (size_t)request->content_length;
        out->bytes = gw_bytes_of(in.data, out->used);
        return in.size < out->used ? GW_MORE : GW_OK;
    }
    bool full = in.size >= limits->chunked_bytes_max;
    enum gw_status status;

    if (full)
        in.size = limits->chunked_bytes_max;
    status = read_chunks(in, limits, room, out);
    return status == GW_MORE && full ? refuse(out, GW_HTTP_FAULT_BODY_TOO_LARGE) : status;
}
