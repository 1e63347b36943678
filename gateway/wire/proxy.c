/*
 * The PROXY protocol, read strictly: who writes these headers is a program, and one that errs is to
 * be found out and not guessed at. Nothing is taken of a header before it is whole, and whatever is
 * wrong is wrong at the first byte that shows it, so the answer does not depend on the cuts.
 */
#include <gw/wire/proxy.h>

#include <arpa/inet.h>
#include <string.h>

enum {
    SIGNATURE_BYTES = 12,
    FIXED_BYTES = 16, /* of version 2, before the addresses */
    PORTS_BYTES = 4,  /* source and destination             */
    FIELD_BYTES_MAX = 39 + 1,
    TLV_HEADER_BYTES = 3,
};

/* ---- version 1 ---- */

static const char line_begin[] = "PROXY ";

/* The next word of the line; false when there is none, or the blanks are not single ones. */
static bool take_word(struct gw_bytes *line, char out[FIELD_BYTES_MAX])
{
    const uint8_t *blank = memchr(line->data, ' ', line->size);
    size_t bytes = blank == NULL ? line->size : (size_t)(blank - line->data);

    if (bytes == 0 || bytes >= FIELD_BYTES_MAX)
        return false;
    memcpy(out, line->data, bytes);
    out[bytes] = '\0';
    *line = gw_bytes_after(*line, blank == NULL ? bytes : bytes + 1);
    return blank == NULL || line->size > 0;
}

static bool take_address(struct gw_bytes *line, bool is_v6, uint8_t out[16])
{
    char word[FIELD_BYTES_MAX];

    return take_word(line, word) && inet_pton(is_v6 ? AF_INET6 : AF_INET, word, out) == 1;
}

/* Decimal, without zeros in front. */
static bool take_port(struct gw_bytes *line, uint16_t *out)
{
    char word[FIELD_BYTES_MAX];
    uint32_t port = 0;
    size_t digits;

    if (!take_word(line, word))
        return false;
    digits = strspn(word, "0123456789");
    if (digits > 5 || word[digits] != '\0' || (word[0] == '0' && digits > 1))
        return false;
    for (size_t i = 0; i < digits; i++)
        port = port * 10 + (uint32_t)(word[i] - '0');
    *out = (uint16_t)port;
    return port <= UINT16_MAX;
}

/* What stands between "PROXY " and the end of the line. */
static bool read_line(struct gw_bytes line, struct gw_proxy *out)
{
    uint8_t to[16];
    uint16_t to_port;
    char word[FIELD_BYTES_MAX];

    for (size_t i = 0; i < line.size; i++)
        if (line.data[i] < ' ' || line.data[i] > '~')
            return false;
    *out = (struct gw_proxy){.is_known = false};
    if (line.size >= 7 && memcmp(line.data, "UNKNOWN", 7) == 0)
        return line.size == 7 || line.data[7] == ' '; /* what follows is to be ignored */
    if (!take_word(&line, word))
        return false;
    out->is_known = true;
    out->is_v6 = strcmp(word, "TCP6") == 0;
    if (!out->is_v6 && strcmp(word, "TCP4") != 0)
        return false;
    return take_address(&line, out->is_v6, out->address) && take_address(&line, out->is_v6, to) &&
           take_port(&line, &out->port) && take_port(&line, &to_port) && line.size == 0;
}

static enum gw_status decode_line(struct gw_bytes in, struct gw_proxy *out, size_t *used)
{
    const size_t looked = gw_min_u64(in.size, GW_PROXY_LINE_BYTES_MAX);
    const size_t begin = sizeof line_begin - 1;
    size_t end = 0;

    if (memcmp(in.data, line_begin, gw_min_u64(in.size, begin)) != 0)
        return GW_BAD_FRAME;
    while (end < looked && in.data[end] != '\r' && in.data[end] != '\n')
        end++;
    if (end == looked || (in.data[end] == '\r' && end + 1 == in.size))
        return in.size < GW_PROXY_LINE_BYTES_MAX ? GW_MORE : GW_BAD_FRAME;
    if (in.data[end] != '\r' || end + 2 > GW_PROXY_LINE_BYTES_MAX || in.data[end + 1] != '\n' ||
        end < begin || !read_line(gw_bytes_of(in.data + begin, end - begin), out))
        return GW_BAD_FRAME;
    *used = end + 2;
    return GW_OK;
}

/* ---- version 2 ---- */

static const uint8_t signature[SIGNATURE_BYTES] = {0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D,
                                                   0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A};

enum { COMMAND_LOCAL = 0x20, COMMAND_PROXY = 0x21 };
enum { FAMILY_NONE = 0x00, FAMILY_TCP4 = 0x11, FAMILY_TCP6 = 0x21 };

/* What follows the addresses: type, length, value, as often as it goes, and nothing half. */
static bool are_values(struct gw_bytes rest)
{
    while (rest.size > 0) {
        size_t bytes;

        if (rest.size < TLV_HEADER_BYTES)
            return false;
        bytes = TLV_HEADER_BYTES + (size_t)gw_load_be16(rest.data + 1);
        if (bytes > rest.size)
            return false;
        rest = gw_bytes_after(rest, bytes);
    }
    return true;
}

static bool read_addresses(uint8_t family, struct gw_bytes rest, struct gw_proxy *out)
{
    const bool is_v6 = family == FAMILY_TCP6;
    const size_t bytes = is_v6 ? 16 : 4;

    if (rest.size < 2 * bytes + PORTS_BYTES)
        return false;
    *out = (struct gw_proxy){
        .is_known = true, .is_v6 = is_v6, .port = gw_load_be16(rest.data + 2 * bytes)};
    memcpy(out->address, rest.data, bytes);
    return are_values(gw_bytes_after(rest, 2 * bytes + PORTS_BYTES));
}

static enum gw_status decode_binary(struct gw_bytes in, struct gw_proxy *out, size_t *used)
{
    uint8_t command, family;
    size_t bytes;

    if (memcmp(in.data, signature, gw_min_u64(in.size, sizeof signature)) != 0)
        return GW_BAD_FRAME;
    if (in.size <= SIGNATURE_BYTES)
        return GW_MORE;
    command = in.data[12];
    if (command != COMMAND_LOCAL && command != COMMAND_PROXY)
        return GW_BAD_FRAME;
    if (in.size == SIGNATURE_BYTES + 1)
        return GW_MORE;
    family = in.data[13];
    if (command == COMMAND_PROXY && family != FAMILY_NONE && family != FAMILY_TCP4 &&
        family != FAMILY_TCP6)
        return GW_BAD_FRAME;
    if (in.size < FIXED_BYTES)
        return GW_MORE;
    bytes = FIXED_BYTES + (size_t)gw_load_be16(in.data + 14);
    if (bytes > GW_PROXY_HEADER_BYTES_MAX)
        return GW_BAD_FRAME;
    if (in.size < bytes)
        return GW_MORE;
    if (command == COMMAND_LOCAL || family == FAMILY_NONE)
        *out = (struct gw_proxy){.is_known = false}; /* the rest is to be ignored */
    else if (!read_addresses(family, gw_bytes_of(in.data + FIXED_BYTES, bytes - FIXED_BYTES), out))
        return GW_BAD_FRAME;
    *used = bytes;
    return GW_OK;
}

enum gw_status gw_proxy_decode(struct gw_bytes in, struct gw_proxy *out, size_t *used)
{
    struct gw_proxy read;
    enum gw_status status;

    *used = 0;
    if (in.size == 0)
        return GW_MORE;
    status =
        in.data[0] == signature[0] ? decode_binary(in, &read, used) : decode_line(in, &read, used);
    if (status == GW_OK)
        *out = read;
    return status;
}
