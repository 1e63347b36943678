/*
 * Socket addresses in the operator's words.
 */
#include <gw/app/address.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse_port(const char *text, uint16_t *out)
{
    size_t digits = strspn(text, "0123456789");
    unsigned long port;

    if (digits == 0 || digits > 5 || text[digits] != '\0')
        return false;
    port = strtoul(text, NULL, 10);
    if (port > UINT16_MAX)
        return false;
    *out = (uint16_t)port;
    return true;
}

bool gw_address_parse(const char *text, struct gw_address *out, const char **why)
{
    char host[INET6_ADDRSTRLEN];
    const char *begin = text, *colon = strrchr(text, ':'), *end = colon;
    bool bracketed = text[0] == '[';
    uint16_t port;

    *why = "an address is a number and a port: 192.0.2.1:9443, or [2001:db8::1]:9443";
    if (colon == NULL)
        return false;
    if (bracketed) {
        begin++;
        end--;
        if (end < begin || *end != ']')
            return false;
    }
    if ((size_t)(end - begin) >= sizeof host)
        return false;
    memcpy(host, begin, (size_t)(end - begin));
    host[end - begin] = '\0';
    if (!parse_port(colon + 1, &port)) {
        *why = "the port is a number from 0 to 65535";
        return false;
    }

    *out = (struct gw_address){.bytes = 0};
    if (bracketed) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&out->storage;

        if (inet_pton(AF_INET6, host, &in6->sin6_addr) != 1)
            return false;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        out->bytes = sizeof *in6;
        return true;
    }
    struct sockaddr_in *in4 = (struct sockaddr_in *)&out->storage;

    if (inet_pton(AF_INET, host, &in4->sin_addr) != 1) {
        if (strchr(host, ':') != NULL)
            *why = "an IPv6 address stands in brackets: [2001:db8::1]:9443";
        return false;
    }
    in4->sin_family = AF_INET;
    in4->sin_port = htons(port);
    out->bytes = sizeof *in4;
    return true;
}

void gw_address_format(const struct gw_address *address, char out[GW_ADDRESS_TEXT_BYTES])
{
    const struct sockaddr_in *in4 = (const struct sockaddr_in *)&address->storage;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address->storage;
    char host[INET6_ADDRSTRLEN] = "?";

    if (address->storage.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        snprintf(out, GW_ADDRESS_TEXT_BYTES, "[%s]:%u", host, ntohs(in6->sin6_port));
    } else {
        inet_ntop(AF_INET, &in4->sin_addr, host, sizeof host);
        snprintf(out, GW_ADDRESS_TEXT_BYTES, "%s:%u", host, ntohs(in4->sin_port));
    }
}

uint16_t gw_address_port(const struct gw_address *address)
{
    if (address->storage.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&address->storage)->sin6_port);
    return ntohs(((const struct sockaddr_in *)&address->storage)->sin_port);
}

bool gw_address_is_loopback(const struct gw_address *address)
{
    if (address->storage.ss_family == AF_INET6) {
        const struct in6_addr *in6 = &((const struct sockaddr_in6 *)&address->storage)->sin6_addr;

        return IN6_IS_ADDR_LOOPBACK(in6) || (IN6_IS_ADDR_V4MAPPED(in6) && in6->s6_addr[12] == 127);
    }
    const struct sockaddr_in *in4 = (const struct sockaddr_in *)&address->storage;

    return address->storage.ss_family == AF_INET && ntohl(in4->sin_addr.s_addr) >> 24 == 127;
}
