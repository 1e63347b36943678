/*
 * The token index is the real one, on the real disk, read-only. Now and then it cannot be asked:
 * the linker gives calls of gw_index_login to this (--wrap).
 */
#include <gw/token/index.h>

#include "pretend_ring.h"

enum gw_login __real_gw_index_login(struct gw_index_reader *reader,
                                    const uint8_t token[GW_TOKEN_BYTES], bool over_tls,
                                    uint64_t now_s, struct gw_grant *out);
enum gw_login __wrap_gw_index_login(struct gw_index_reader *reader,
                                    const uint8_t token[GW_TOKEN_BYTES], bool over_tls,
                                    uint64_t now_s, struct gw_grant *out);

enum gw_login __wrap_gw_index_login(struct gw_index_reader *reader,
                                    const uint8_t token[GW_TOKEN_BYTES], bool over_tls,
                                    uint64_t now_s, struct gw_grant *out)
{
    if (!pretend.calm && chance_one_in(&pretend.chance, 50)) {
        pretend.seen.index_failures++;
        return GW_LOGIN_UNAVAILABLE;
    }
    return __real_gw_index_login(reader, token, over_tls, now_s, out);
}
