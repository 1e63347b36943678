/*
 * Networks, as text and as a question.
 */
#include <gw/base/prefix.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool bit(const uint8_t *address, unsigned number)
{
    return (address[number / 8] >> (7 - number % 8) & 1) != 0;
}

bool gw_prefix_parse(const char *text, struct gw_prefix *out)
{
    char host[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t bytes = slash == NULL ? strlen(text) : (size_t)(slash - text);
    unsigned long bits;

    if (bytes >= sizeof host)
        return false;
    memcpy(host, text, bytes);
    host[bytes] = '\0';
    *out = (struct gw_prefix){.is_v6 = strchr(host, ':') != NULL};
    bits = out->is_v6 ? 128 : 32;
    if (inet_pton(out->is_v6 ? AF_INET6 : AF_INET, host, out->address) != 1)
        return false;
    if (slash != NULL) {
        size_t digits = strspn(slash + 1, "0123456789");
        unsigned long given = strtoul(slash + 1, NULL, 10);

        if (digits == 0 || digits > 3 || slash[1 + digits] != '\0' || given > bits)
            return false;
        for (unsigned long number = given; number < bits; number++)
            if (bit(out->address, (unsigned)number))
                return false;
        bits = given;
    }
    out->bits = (uint8_t)bits;
    return true;
}

void gw_prefix_format(const struct gw_prefix *prefix, char out[GW_PREFIX_TEXT_BYTES])
{
    char host[INET6_ADDRSTRLEN] = "?";

    (void)inet_ntop(prefix->is_v6 ? AF_INET6 : AF_INET, prefix->address, host, sizeof host);
    (void)snprintf(out, GW_PREFIX_TEXT_BYTES, "%s/%u", host, prefix->bits);
}

bool gw_prefix_has(const struct gw_prefix *prefix, const uint8_t *address, bool is_v6)
{
    const unsigned whole = prefix->bits / 8, rest = prefix->bits % 8;

    if (prefix->is_v6 != is_v6 || memcmp(prefix->address, address, whole) != 0)
        return false;
    return rest == 0 || (prefix->address[whole] ^ address[whole]) >> (8 - rest) == 0;
}
