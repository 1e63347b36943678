/* A stranger's program: only what is installed, only what the headers say. */
#include <stdio.h>

#include <gw/crypto/crypto.h>
#include <gw/token/index.h>
#include <gw/wire/frame.h>

int main(void)
{
    const struct gw_frame ping = {.type = GW_FRAME_PING, .msg_id = 1};
    const struct gw_index_options nowhere = {.path = "/nonexistent"};
    uint8_t bytes[GW_FRAME_HEADER_BYTES], digest[GW_SHA256_BYTES];
    struct gw_index *index;
    struct gw_frame frame;
    const char *why;
    size_t used, size = gw_frame_encode(bytes, sizeof bytes, &ping);

    if (gw_index_open(&nowhere, &index, &why) == 0)
        return 1;
    gw_hmac_sha256(gw_bytes_text("key"), gw_bytes_of(bytes, size), digest);
    if (gw_frame_decode(gw_bytes_of(bytes, size), 4096, &frame, &used) != GW_OK)
        return 1;
    printf("%s %u, %zu of %zu bytes\n", frame.type == GW_FRAME_PING ? "PING" : "?", frame.msg_id,
           used, size);
    return 0;
}
