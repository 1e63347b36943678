#include "pretend_tls.h"

#include <stdlib.h>

#include <gw/base/assert.h>

#include "pretend_ring.h"
#include "sealing.h"

struct gw_tls_context {
    uint32_t number;
};

struct gw_tls {
    enum { GREETED, ANSWERED, ESTABLISHED, OVER } state;
    bool was_established, said_close;
    uint32_t taken, given; /* sealed records, by number */
    enum gw_tls_failure_kind failure;
    uint8_t part[SEAL_RECORD_BYTES_MAX]; /* of the record that comes */
    uint32_t part_bytes;
};

static uint32_t contexts, sessions;

struct gw_tls_context *pretend_tls_context(void)
{
    struct gw_tls_context *context = calloc(1, sizeof *context);

    gw_assert(context != NULL);
    contexts++;
    return context;
}

uint32_t pretend_tls_count(void)
{
    return contexts + sessions;
}

void gw_tls_context_destroy(struct gw_tls_context *context)
{
    contexts -= context != NULL;
    free(context);
}

struct gw_tls *gw_tls_open(struct gw_tls_context *context)
{
    struct gw_tls *tls;

    gw_assert(context != NULL);
    if (!pretend.calm && chance_one_in(&pretend.chance, 50))
        return NULL;
    tls = malloc(sizeof *tls);
    gw_assert(tls != NULL);
    *tls = (struct gw_tls){.state = GREETED};
    sessions++;
    return tls;
}

void gw_tls_close(struct gw_tls *tls)
{
    sessions -= tls != NULL;
    free(tls);
}

/* ---- out ---- */

static void put(struct gw_tls *tls, struct gw_tls_io *io, uint8_t type, const uint8_t *payload,
                uint32_t count)
{
    uint32_t number = tls->was_established ? ++tls->given : 0;

    gw_assert(io->out_capacity - io->out_bytes >= SEAL_RECORD_BYTES_MAX);
    io->out_bytes += seal_record(io->out + io->out_bytes, type, number, payload, count);
}

static void put_alert(struct gw_tls *tls, struct gw_tls_io *io, uint8_t what)
{
    if (!tls->said_close)
        put(tls, io, SEAL_ALERT, &what, 1);
    tls->said_close = true;
}

bool gw_tls_seal(struct gw_tls *tls, struct gw_tls_io *io, struct gw_bytes plaintext)
{
    if (!tls->was_established || tls->said_close) /* nothing behind our last alert */
        return false;
    if (!pretend.calm && chance_one_in(&pretend.chance, 2000))
        return false;
    while (plaintext.size > 0) {
        size_t count =
            plaintext.size < SEAL_PAYLOAD_BYTES_MAX ? plaintext.size : SEAL_PAYLOAD_BYTES_MAX;

        put(tls, io, SEAL_DATA, plaintext.data, (uint32_t)count);
        plaintext = gw_bytes_after(plaintext, count);
    }
    return true;
}

void gw_tls_shutdown(struct gw_tls *tls, struct gw_tls_io *io)
{
    if (tls->was_established)
        put_alert(tls, io, SEAL_CLOSE);
}

/* ---- in ---- */

static enum gw_tls_result fail(struct gw_tls *tls, struct gw_tls_io *io,
                               enum gw_tls_failure_kind kind)
{
    tls->failure = kind;
    tls->state = OVER;
    put_alert(tls, io, SEAL_FATAL);
    io->in = gw_bytes_of(NULL, 0);
    return GW_TLS_FAILED;
}

/* The record that comes, as far as it is here; false: not all of it. */
static bool gather(struct gw_tls *tls, struct gw_tls_io *io)
{
    for (;;) {
        uint32_t whole = seal_bytes(tls->part, tls->part_bytes);
        uint32_t wanted = whole == 0 ? SEAL_HEADER_BYTES : whole;

        if (wanted > sizeof tls->part || (whole != 0 && tls->part_bytes == whole))
            return true;
        uint32_t count = (uint32_t)gw_min_u64(wanted - tls->part_bytes, io->in.size);

        if (count == 0)
            return false;
        memcpy(tls->part + tls->part_bytes, io->in.data, count);
        tls->part_bytes += count;
        io->in = gw_bytes_after(io->in, count);
    }
}

static enum gw_tls_result on_handshake(struct gw_tls *tls, struct gw_tls_io *io, uint32_t bytes)
{
    static const uint8_t flight[SEAL_FLIGHT_BYTES];

    if (tls->state == GREETED && bytes == SEAL_HEADER_BYTES + SEAL_HELLO_BYTES) {
        put(tls, io, SEAL_HANDSHAKE, flight, sizeof flight);
        put(tls, io, SEAL_HANDSHAKE, flight, sizeof flight);
        tls->state = ANSWERED;
        return GW_TLS_WANT;
    }
    if (tls->state == ANSWERED && bytes == SEAL_HEADER_BYTES + SEAL_FINISHED_BYTES) {
        tls->state = ESTABLISHED;
        tls->was_established = true;
        put(tls, io, SEAL_HANDSHAKE, flight, SEAL_FINISHED_BYTES);
        return GW_TLS_WANT;
    }
    return fail(tls, io, GW_TLS_FAILURE_OTHER);
}

/* Of a whole record: WANT means the next one. */
static enum gw_tls_result on_record(struct gw_tls *tls, struct gw_tls_io *io, uint32_t bytes,
                                    uint8_t *out, size_t *out_bytes)
{
    uint32_t count;

    if (!tls->was_established)
        return tls->part[0] == SEAL_HANDSHAKE && !seal_is_sealed(tls->part)
                   ? on_handshake(tls, io, bytes)
                   : fail(tls, io, GW_TLS_FAILURE_PEER_ALERT);
    if (!seal_is_sealed(tls->part) || !seal_open(tls->part, bytes, tls->taken + 1, out, &count))
        return fail(tls, io, GW_TLS_FAILURE_RECORD);
    tls->taken++;
    if (tls->part[0] == SEAL_ALERT) {
        tls->state = OVER;
        put_alert(tls, io, SEAL_CLOSE);
        io->in = gw_bytes_of(NULL, 0);
        return GW_TLS_CLOSED;
    }
    if (tls->part[0] == SEAL_UPDATE) {
        put(tls, io, SEAL_UPDATE, NULL, 0);
        return GW_TLS_WANT;
    }
    *out_bytes = count;
    return count > 0 ? GW_TLS_DATA : GW_TLS_WANT;
}

enum gw_tls_result gw_tls_read(struct gw_tls *tls, struct gw_tls_io *io, uint8_t *out,
                               size_t out_capacity, size_t *out_bytes)
{
    gw_assert(out_capacity >= SEAL_PAYLOAD_BYTES_MAX && tls->state != OVER);
    while (gather(tls, io)) {
        uint32_t bytes = seal_bytes(tls->part, tls->part_bytes);
        enum gw_tls_result result = bytes > sizeof tls->part || tls->part[1] != 3
                                        ? fail(tls, io, GW_TLS_FAILURE_NOT_TLS)
                                        : on_record(tls, io, bytes, out, out_bytes);

        tls->part_bytes = 0;
        if (result != GW_TLS_WANT)
            return result;
    }
    return GW_TLS_WANT;
}

/* ---- facts ---- */

bool gw_tls_is_established(const struct gw_tls *tls)
{
    return tls->was_established;
}

void gw_tls_facts(const struct gw_tls *tls, struct gw_tls_facts *out)
{
    (void)tls;
    *out =
        (struct gw_tls_facts){.version = "pretended", .suite = "none", .group = "", .lean = true};
}

const char *gw_tls_failure(const struct gw_tls *tls)
{
    (void)tls;
    return "pretended";
}

enum gw_tls_failure_kind gw_tls_failure_kind(const struct gw_tls *tls)
{
    return tls->failure;
}
