/*
 * Words and texts of the close reasons, from their table.
 */
#include <gw/session/session.h>

#include <gw/base/assert.h>

static const struct {
    const char *name, *text;
} reasons[GW_CLOSE_REASONS] = {
    [GW_CLOSE_NONE] = {"NONE", "open"},
#define GW_CLOSE(name, fault, text) [GW_CLOSE_##name] = {#name, text},
#include <gw/session/close_reasons.def>
#undef GW_CLOSE
};

const char *gw_close_reason_word(enum gw_close_reason reason)
{
    /* Lower case once, so that the table can serve as enum names too. */
    static _Thread_local char word[32];
    size_t i = 0;

    gw_assert(reason < GW_CLOSE_REASONS);
    const char *name = reasons[reason].name;

    for (; name[i] != '\0' && i + 1 < sizeof word; i++)
        word[i] = name[i] == '_' ? '_' : (char)(name[i] | 0x20);
    word[i] = '\0';
    return word;
}

const char *gw_close_reason_text(enum gw_close_reason reason)
{
    gw_assert(reason < GW_CLOSE_REASONS);
    return reasons[reason].text;
}
