/*
 * The opening handshake. What makes a request one is judged here; that its head is well formed, and
 * that none of these fields but a list stands twice, was judged by the http room.
 */
#include <gw/websocket/handshake.h>

#include <stdio.h>
#include <string.h>

#include <gw/base/assert.h>
#include <gw/crypto/crypto.h>

enum { KEY_BYTES = 24, KEY_DIGITS = 22 };

bool gw_websocket_is_for(const struct gw_http_request *request)
{
    static const char path[] = "/websocket"; /* JavaScript clients ask for /websockets */

    return request->method == GW_HTTP_GET && request->path.size >= sizeof path - 1 &&
           memcmp(request->path.data, path, sizeof path - 1) == 0;
}

/* RFC 6455 4.1: 16 bytes in base64, so 22 digits and two '='. */
static bool is_key(struct gw_bytes key)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    if (key.size != KEY_BYTES || memcmp(key.data + KEY_DIGITS, "==", 2) != 0)
        return false;
    for (size_t i = 0; i < KEY_DIGITS; i++)
        if (key.data[i] == '\0' || strchr(digits, key.data[i]) == NULL)
            return false;
    return true;
}

uint16_t gw_websocket_judge(const struct gw_http_request *request, const char **message)
{
    *message = "";
    if (!request->upgrade_websocket || request->minor == 0) {
        *message = "This is served over WebSocket alone.";
        return 426;
    }
    if (!request->connection_upgrade) {
        *message = "The Connection header field does not name Upgrade.";
        return 400;
    }
    if (!gw_bytes_are(request->websocket_version, "13")) { /* 4.4 */
        *message = "The only WebSocket version served is 13.";
        return 426;
    }
    if (!is_key(request->websocket_key)) {
        *message = "The Sec-WebSocket-Key header field is missing or malformed.";
        return 400;
    }
    return 101;
}

size_t gw_websocket_switch(const struct gw_http_request *request,
                           uint8_t out[GW_WEBSOCKET_SWITCH_BYTES_MAX])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* 1.3 */
    uint8_t keyed[KEY_BYTES + sizeof guid - 1], hash[GW_SHA1_BYTES];
    char accept[GW_WEBSOCKET_ACCEPT_BYTES + 1];
    int bytes;

    gw_assert(request->websocket_key.size == KEY_BYTES);
    memcpy(keyed, request->websocket_key.data, KEY_BYTES);
    memcpy(keyed + KEY_BYTES, guid, sizeof guid - 1);
    gw_sha1(gw_bytes_of(keyed, sizeof keyed), hash);
    gw_base64(gw_bytes_of(hash, sizeof hash), accept);
    bytes = snprintf((char *)out, GW_WEBSOCKET_SWITCH_BYTES_MAX,
                     "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n"
                     "connection: upgrade\r\nsec-websocket-accept: %s\r\n\r\n",
                     accept);
    gw_assert(bytes > 0 && bytes < GW_WEBSOCKET_SWITCH_BYTES_MAX);
    return (size_t)bytes;
}
