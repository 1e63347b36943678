#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gw/base/assert.h>

static void leave(struct client *client, struct chance *chance)
{
    wire_close(&client->wire, chance);
    client->in_bytes = client->out_bytes = client->request_count = 0;
    client->back_ns = pretend.now_ns + (uint64_t)chance_below(chance, 1000) * 1000000;
}

/* ---- answers ---- */

struct response {
    unsigned status;
    const char *body;
    size_t body_bytes;
};

/* How many bytes the response in front is; 0: not all of it is here. */
static size_t read_response(const struct client *client, struct response *out)
{
    char text[sizeof client->in + 1];
    const char *end, *length;
    size_t head;

    memcpy(text, client->in, client->in_bytes);
    text[client->in_bytes] = '\0';
    if ((end = strstr(text, "\r\n\r\n")) == NULL)
        return 0;
    head = (size_t)(end - text) + 4;
    length = strstr(text, "content-length: ");
    int fields = sscanf(text, "HTTP/1.1 %u ", &out->status);

    gw_assert(fields == 1 && length != NULL && length < end);
    out->body_bytes = strtoul(length + sizeof "content-length: " - 1, NULL, 10);
    out->body = (const char *)client->in + head;
    return client->in_bytes - head < out->body_bytes ? 0 : head + out->body_bytes;
}

static bool says(const struct response *response, const char *text)
{
    size_t bytes = strlen(text);

    for (size_t at = 0; at + bytes <= response->body_bytes; at++)
        if (memcmp(response->body + at, text, bytes) == 0)
            return true;
    return false;
}

static void judge_value(const struct request *request, uint8_t pin, struct gw_bytes value,
                        const struct ledger *ledger)
{
    uint32_t version = ledger_version(ledger, ledger_number(ledger, value, request->token, pin));

    gw_assert(version > 0 && version >= request->versions[pin - PIN_FIRST]);
}

/* {"v5":17,"v7":4}: every pin that had a value when it was asked for. */
static void judge_all(const struct request *request, const struct response *response,
                      const struct ledger *ledger)
{
    for (unsigned i = 0; i < PINS; i++) {
        char name[8];
        size_t name_bytes, at = 0, end;

        (void)snprintf(name, sizeof name, "\"v%u\":", (unsigned)(PIN_FIRST + i));
        name_bytes = strlen(name);
        while (at + name_bytes <= response->body_bytes &&
               memcmp(response->body + at, name, name_bytes) != 0)
            at++;
        if (at + name_bytes > response->body_bytes) {
            gw_assert(request->versions[i] == 0);
            continue;
        }
        at += name_bytes;
        for (end = at;
             end < response->body_bytes && response->body[end] >= '0' && response->body[end] <= '9';
             end++)
            ;
        judge_value(request, (uint8_t)(PIN_FIRST + i), gw_bytes_of(response->body + at, end - at),
                    ledger);
    }
}

static void judge_token(const struct request *request, const struct response *response,
                        const struct world_tokens *tokens)
{
    uint32_t token = request->token, drawn = request->drawn;
    uint64_t since = request->asked_ns;

    gw_assert(token_was_unknown(tokens, token, drawn, since) || !says(response, "Invalid token."));
    gw_assert(response->status != 403 || !token_stayed_good(tokens, token, drawn, since));
    gw_assert(response->status != 200 || token_was_good(tokens, token, drawn, since));
}

static void judge(struct client *client, const struct response *response,
                  const struct surroundings *around)
{
    const struct request *request = &client->requests[0];
    struct ledger *ledger = around->ledger;
    bool ok = response->status == 200;

    gw_assert(client->request_count > 0);
    judge_token(request, response, around->tokens);
    gw_assert(ok || response->status == 400 || response->status == 403 || response->status == 408 ||
              response->status == 429 || response->status == 503);
    client->refused += !ok;
    switch (request->what) {
    case WRITE:
    case WRITE_PUT:
    case WRITE_TWO:
    case WRITE_POINTS:
        for (size_t i = 0; i < GW_ARRAY_COUNT(request->numbers) && request->numbers[i] != 0; i++)
            if (ok)
                ledger_acknowledged(ledger, request->numbers[i]);
            else
                ledger_refused(ledger, request->numbers[i]);
        gw_assert(!ok || response->body_bytes == 0);
        break;
    case READ:
        if (ok)
            judge_value(request, request->pin, gw_bytes_of(response->body, response->body_bytes),
                        ledger);
        gw_assert(response->status != 400 || says(response, "Invalid token.") ||
                  request->versions[request->pin - PIN_FIRST] == 0);
        break;
    case READ_ALL:
        if (ok)
            judge_all(request, response, ledger);
        break;
    case CONNECTED:
        gw_assert(!ok || says(response, "true") || says(response, "false"));
        break;
    case UNKNOWN:
        gw_assert(!ok);
        break;
    }
}

static void listen_to(struct client *client, const struct surroundings *around)
{
    struct response response;
    size_t used;

    client->in_bytes += wire_read(&client->wire, client->in + client->in_bytes,
                                  (uint32_t)sizeof client->in - client->in_bytes);
    while (client->in_bytes > 0 && (used = read_response(client, &response)) > 0) {
        pretend_trace((uint64_t)response.status << 32 ^ response.body_bytes);
        judge(client, &response, around);
        client->answered++;
        client->request_count--;
        memmove(client->requests, client->requests + 1,
                client->request_count * sizeof client->requests[0]);
        client->in_bytes -= (uint32_t)used;
        memmove(client->in, client->in + used, client->in_bytes);
    }
    gw_assert(client->in_bytes < sizeof client->in);
}

/* ---- requests ---- */

static uint32_t write_pin(struct client *client, const struct surroundings *around,
                          const struct request *request, uint8_t pin)
{
    uint32_t number = ledger_write(around->ledger, client->wire.connection->number,
                                   client->sent + 1, false, request->token, pin);

    client->sent += number != 0;
    return number;
}

/* What a new request asks for; false: there is nothing to ask. */
static bool aim(struct client *client, const struct surroundings *around, struct request *request)
{
    uint8_t other = request->pin == PIN_FIRST ? PIN_FIRST + 1 : PIN_FIRST;
    uint32_t writes = request->what <= WRITE_PUT ? 1 : request->what <= WRITE_POINTS ? 2 : 0;

    for (uint32_t i = 0; i < PINS && request->what != UNKNOWN; i++) {
        uint32_t last = ledger_last(around->ledger, request->token, (uint8_t)(PIN_FIRST + i));

        request->versions[i] = last == 0 ? 0 : ledger_version(around->ledger, last);
    }
    for (uint32_t i = 0; i < writes; i++) {
        uint8_t pin = i == 1 && request->what == WRITE_TWO ? other : request->pin;

        if ((request->numbers[i] = write_pin(client, around, request, pin)) == 0)
            return false;
        if (request->what != WRITE_POINTS)
            ledger_pass_on(around->ledger, request->numbers[i]);
    }
    return true;
}

struct text {
    const char *method;
    char target[160], body[96];
};

static struct text spell(const struct request *request, const struct world_tokens *tokens)
{
    static const char api[] = "/external/api";
    struct text text = {.method = "GET"};
    char token[GW_TOKEN_TEXT_BYTES + 1];
    const uint32_t *numbers = request->numbers;
    unsigned long long ms = pretend.wall_us / 1000;
    unsigned pin = request->pin, other = pin == PIN_FIRST ? PIN_FIRST + 1 : PIN_FIRST;
    char *target = text.target;
    const size_t capacity = sizeof text.target;

    (void)snprintf(token, sizeof token, "%.*s", GW_TOKEN_TEXT_BYTES, tokens->text[request->token]);
    switch (request->what) {
    case WRITE:
        (void)snprintf(target, capacity, "%s/update?token=%s&v%u=%u", api, token, pin, numbers[0]);
        break;
    case WRITE_PUT:
        text.method = "PUT";
        (void)snprintf(target, capacity, "%s/update/pin?token=%s&pin=v%u", api, token, pin);
        (void)snprintf(text.body, sizeof text.body, "[\"%u\"]", numbers[0]);
        break;
    case WRITE_TWO:
        (void)snprintf(target, capacity, "%s/batch/update?token=%s&v%u=%u&v%u=%u", api, token, pin,
                       numbers[0], other, numbers[1]);
        break;
    case WRITE_POINTS:
        text.method = "POST";
        (void)snprintf(target, capacity, "%s/batch/update?token=%s&pin=v%u", api, token, pin);
        (void)snprintf(text.body, sizeof text.body, "[[%llu,%u],[%llu,%u]]", ms, numbers[0], ms,
                       numbers[1]);
        break;
    case READ:
        (void)snprintf(target, capacity, "%s/get?token=%s&v%u", api, token, pin);
        break;
    case READ_ALL:
        (void)snprintf(target, capacity, "%s/getAll?token=%s", api, token);
        break;
    case CONNECTED:
        (void)snprintf(target, capacity, "/%s/isHardwareConnected", token);
        break;
    case UNKNOWN:
        (void)snprintf(target, capacity, "%s/update?token=%s&v1=1", api, token);
        break;
    }
    return text;
}

static void ask(struct client *client, const struct surroundings *around)
{
    static const uint8_t kinds[] = {WRITE, WRITE, WRITE,    WRITE_PUT, WRITE_TWO, WRITE_POINTS,
                                    READ,  READ,  READ_ALL, READ_ALL,  CONNECTED, UNKNOWN};
    struct chance *chance = around->chance;
    struct request request = {.token = around->tokens->count};
    char head[384];

    request.what = kinds[chance_below(chance, GW_ARRAY_COUNT(kinds))];
    request.pin = (uint8_t)(PIN_FIRST + chance_below(chance, PINS));

    if (client->request_count == REQUESTS_MAX || client->says_close ||
        client->out_bytes + sizeof head > sizeof client->out)
        return;
    while (request.what != UNKNOWN &&
           (request.token == around->tokens->count || around->tokens->needs_info[request.token]))
        request.token = chance_below(chance, around->tokens->count);
    if (!aim(client, around, &request))
        return;
    request.asked_ns = pretend.now_ns;
    if (request.token < around->tokens->count)
        request.drawn = around->tokens->fate[request.token].drawn;
    struct text text = spell(&request, around->tokens);

    client->says_close = chance_one_in(chance, 20);
    int bytes = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: sim\r\n%s", text.method,
                         text.target, client->says_close ? "Connection: close\r\n" : "");

    gw_assert(bytes > 0 && (size_t)bytes < sizeof head);
    if (text.body[0] != '\0')
        bytes += snprintf(head + bytes, sizeof head - (size_t)bytes,
                          "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                          strlen(text.body), text.body);
    else
        bytes += snprintf(head + bytes, sizeof head - (size_t)bytes, "\r\n");
    gw_assert((size_t)bytes < sizeof head);
    memcpy(client->out + client->out_bytes, head, (size_t)bytes);
    client->out_bytes += (uint32_t)bytes;
    client->requests[client->request_count++] = request;
}

static void flush(struct client *client, struct chance *chance)
{
    while (client->out_bytes > 0) {
        uint32_t count =
            pretend.calm ? client->out_bytes : 1 + chance_below(chance, client->out_bytes);

        count = count < SEAL_PAYLOAD_BYTES_MAX ? count : SEAL_PAYLOAD_BYTES_MAX;
        if (!wire_write(&client->wire, client->out, count, chance))
            return;
        client->out_bytes -= count;
        memmove(client->out, client->out + count, client->out_bytes);
        if (!pretend.calm && chance_one_in(chance, 4))
            return;
    }
}

void client_step(struct client *client, const struct surroundings *around)
{
    struct chance *chance = around->chance;

    if (client->wire.connection == NULL) {
        if (pretend.now_ns < client->back_ns || pretend.hush)
            return;
        wire_open(&client->wire, around->rings[chance_below(chance, around->ring_count)],
                  (uint16_t)(9000 + client->number), client->seals, chance);
        client->sent = 0;
        client->says_close = false;
        return; /* it speaks from the next step on */
    }
    listen_to(client, around);
    if (wire_is_over(&client->wire) || (!pretend.calm && chance_one_in(chance, 100))) {
        listen_to(client, around);
        leave(client, chance);
        return;
    }
    if (!pretend.hush && chance_one_in(chance, 3))
        ask(client, around);
    flush(client, chance);
    if (client->seals)
        wire_flush(&client->wire, chance);
}
