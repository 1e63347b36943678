/*
 * The device API: a table of endpoints, and which of them a request is for. The reading of each is
 * in http_writes.c and http_questions.c. Pure: the same request is the same call, in a test as on a
 * shard.
 *
 * Source: docs/http-api.md.
 */
#include "http_reading.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <gw/base/assert.h>

struct http_endpoint {
    unsigned methods; /* enum gw_http_method, several */
    const char *path; /* with "{token}", and "{pin}" or "{file}", for segments that name them */
    void (*read)(struct http_reading *); /* NULL: nothing is, nor asked for a token */
    bool legacy; /* of old servers: the token in the path, refusals in plain text */
};

static const struct http_endpoint endpoints[] = {
    {GW_HTTP_GET | GW_HTTP_HEAD, "/.well-known/acme-challenge/{file}", NULL, false},
    {GW_HTTP_GET, "/external/api/update", http_read_update, false},
    {GW_HTTP_PUT, "/external/api/update/pin", http_read_put, false},
    {GW_HTTP_GET, "/external/api/update/property", http_read_property, false},
    {GW_HTTP_GET, "/external/api/batch/update", http_read_update, false},
    {GW_HTTP_POST, "/external/api/batch/update", http_read_points, false},
    {GW_HTTP_GET | GW_HTTP_HEAD, "/external/api/get", http_read_get, false},
    {GW_HTTP_GET | GW_HTTP_HEAD, "/external/api/getAll", http_read_get_all, false},
    {GW_HTTP_GET, "/external/api/logEvent", http_read_event, false},
    {GW_HTTP_GET | GW_HTTP_HEAD, "/external/api/device/meta", http_read_metadata, false},
    {GW_HTTP_GET, "/external/api/device/meta/update", http_read_meta, false},
    {GW_HTTP_GET, "/external/api/provision", http_read_provision, false},
    {GW_HTTP_GET | GW_HTTP_HEAD, "/external/api/isHardwareConnected", http_read_connected, false},
    {GW_HTTP_GET | GW_HTTP_HEAD, "/external/api/isAppConnected", http_read_app, false},
    {GW_HTTP_GET, "/{token}/update/{pin}", http_read_legacy_update, true},
    {GW_HTTP_PUT, "/{token}/update/{pin}", http_read_legacy_put, true},
    {GW_HTTP_PUT, "/{token}/pin/{pin}", http_read_legacy_put, true},
    {GW_HTTP_PUT, "/{token}/extra/pin/{pin}", http_read_legacy_points, true},
    {GW_HTTP_GET | GW_HTTP_HEAD, "/{token}/get/{pin}", http_read_legacy_get, true},
    {GW_HTTP_GET | GW_HTTP_HEAD, "/{token}/isHardwareConnected", http_read_connected, true},
    {GW_HTTP_GET | GW_HTTP_HEAD, "/{token}/isAppConnected", http_read_app, true},
    {GW_HTTP_GET | GW_HTTP_HEAD, "/{token}/rtc", http_read_time, true},
};

/* Takes "/segment" off *rest. */
static bool take_segment(struct gw_bytes *rest, struct gw_bytes *segment)
{
    size_t end = 1;

    if (rest->size == 0)
        return false;
    while (end < rest->size && rest->data[end] != '/')
        end++;
    *segment = gw_bytes_of(rest->data + 1, end - 1);
    *rest = gw_bytes_after(*rest, end);
    return true;
}

/* The path as it came: an escape in it is a character of no endpoint. */
static bool path_fits(const char *pattern, struct gw_bytes path, struct gw_bytes *token,
                      struct gw_bytes *other)
{
    struct gw_bytes wanted_rest = gw_bytes_text(pattern), wanted, segment;

    *token = *other = gw_bytes_of(NULL, 0);
    while (take_segment(&wanted_rest, &wanted)) {
        if (!take_segment(&path, &segment))
            return false;
        if (gw_bytes_are(wanted, "{token}") && segment.size > 0)
            *token = segment;
        else if ((gw_bytes_are(wanted, "{pin}") || gw_bytes_are(wanted, "{file}")) &&
                 segment.size > 0)
            *other = segment;
        else if (!gw_bytes_equal(wanted, segment))
            return false;
    }
    return path.size == 0;
}

/* Most have the path that their pattern says, and nothing else. */
static bool is_for(const struct http_endpoint *endpoint, struct gw_bytes path,
                   struct gw_bytes *token, struct gw_bytes *other)
{
    if (endpoint->legacy || endpoint->read == NULL)
        return path_fits(endpoint->path, path, token, other);
    *token = *other = gw_bytes_of(NULL, 0);
    return gw_bytes_are(path, endpoint->path);
}

static void name_methods(unsigned methods, char out[32])
{
    (void)snprintf(out, 32, "%s%s%s%s", (methods & GW_HTTP_GET) != 0 ? ", GET" : "",
                   (methods & GW_HTTP_HEAD) != 0 ? ", HEAD" : "",
                   (methods & GW_HTTP_POST) != 0 ? ", POST" : "",
                   (methods & GW_HTTP_PUT) != 0 ? ", PUT" : "");
    memmove(out, out + 2, strlen(out) - 1);
}

/*
 * The token of "token=" in the query or of "Authorization: Bearer". None of them twice, and both
 * only when they agree: otherwise it would be open who speaks.
 */
static struct gw_bytes find_token(const struct gw_http_request *request, struct http_call *call)
{
    static const char scheme[] = "bearer ";
    struct gw_bytes token, bearer = request->authorization, none = gw_bytes_of(NULL, 0);
    uint32_t count = http_find_values(call, request->query, "token", &token);

    if (count > 1)
        return none;
    if (bearer.size < sizeof scheme - 1 ||
        strncasecmp((const char *)bearer.data, scheme, sizeof scheme - 1) != 0)
        return token;
    bearer = gw_bytes_after(bearer, sizeof scheme - 1);
    while (bearer.size > 0 && bearer.data[0] == ' ') /* RFC 9110 11.4 */
        bearer = gw_bytes_after(bearer, 1);
    if (count == 0)
        return bearer;
    return gw_bytes_equal(token, bearer) ? token : none;
}

void http_route(const struct gw_http_request *request, struct http_call *call)
{
    struct gw_bytes token, segment;
    unsigned allowed = 0;
    bool everything = gw_bytes_are(request->path, "*");

    call->endpoint = NULL;
    call->status = 200;
    call->message = NULL;
    call->legacy = call->binds = call->token_unknown = false;
    call->login = GW_LOGIN_GRANTED; /* nothing speaks against it yet */
    call->what = HTTP_CALL_RECORDS;
    call->record_count = call->point_count = call->pin_count = 0;
    call->numbered = HTTP_NUMBER_OF_NONE;
    call->text_bytes = 0;
    call->allow[0] = '\0';
    if (request->method == GW_HTTP_OTHER) {
        http_refuse(call, 501, "This method is not served.");
        return;
    }
    for (size_t i = 0; i < GW_ARRAY_COUNT(endpoints); i++) {
        const struct http_endpoint *endpoint = &endpoints[i];

        if (!everything && !is_for(endpoint, request->path, &token, &segment))
            continue;
        allowed |= endpoint->methods;
        call->legacy = endpoint->legacy;
        if ((endpoint->methods & request->method) == 0 || call->endpoint != NULL)
            continue;
        call->endpoint = endpoint;
        call->binds = endpoint->read == http_read_provision;
        call->segment = segment;
        if (endpoint->read == NULL)
            call->what = HTTP_CALL_CHALLENGE;
        else
            call->token = endpoint->legacy ? token : find_token(request, call);
    }
    if (allowed != 0)
        name_methods(allowed, call->allow);
    if (allowed != 0 && request->method == GW_HTTP_OPTIONS)
        call->what = HTTP_CALL_PREFLIGHT;
    else if (allowed == 0)
        http_refuse(call, 404, HTTP_NOTHING_THERE);
    else if (call->endpoint == NULL)
        http_refuse(call, 405, "This method is not allowed here.");
}

void http_call_read(const struct gw_shard_http_options *options,
                    const struct gw_http_request *request, struct gw_bytes body, uint64_t wall_us,
                    struct http_call *call)
{
    struct http_reading reading = {
        .options = options, .request = request, .body = body, .wall_us = wall_us, .call = call};

    gw_assert(call->endpoint != NULL && call->status == 200);
    call->endpoint->read(&reading);
}
