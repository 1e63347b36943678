/*
 * Addresses that are locked out, as an operator sees them: the commands "locked", "ban" and "unban"
 * of the control socket (docs/access.md). And the table of tokens that log in too often.
 */
#include "gateway_internal.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include <gw/base/log.h>
#include <gw/crypto/crypto.h>

enum {
    ROWS_SHOWN_MAX = 100, /* an answer is a line of 16 KiB at most */
    BAN_S_MAX = 31536000,
};

int lockout_create(const struct gw_config *config, struct gw_lockout **out, char *why)
{
    struct gw_lockout_options options = {
        .profile = config->lockout_profile,
        .failures = config->lockout_failures,
        .window_s = config->lockout_window_s,
        .lock_s = config->lockout_lock_s,
        .sources = config->lockout_sources,
    };

    gw_random(&options.seed, sizeof options.seed);
    if (gw_lockout_create(&options, out) == 0)
        return EXIT_OK;
    (void)snprintf(why, WHY_BYTES, "lockout.sources = %u: out of memory", config->lockout_sources);
    return EXIT_SYSTEM;
}

int flapping_create(const struct gw_config *config, struct gw_lockout **out, char *why)
{
    struct gw_lockout_options options = {
        .profile = GW_LOCKOUT_LITERAL,
        .failures = config->flapping_logins,
        .window_s = config->flapping_window_s,
        .lock_s = config->flapping_lock_s,
        .sources = config->flapping_tokens,
    };

    if (config->flapping_logins == 0)
        return EXIT_OK;
    gw_random(&options.seed, sizeof options.seed);
    if (gw_lockout_create(&options, out) == 0)
        return EXIT_OK;
    (void)snprintf(why, WHY_BYTES, "flapping.tokens = %u: out of memory", config->flapping_tokens);
    return EXIT_SYSTEM;
}

static json_t *row_object(const struct gw_lockout_row *row)
{
    char text[GW_SOURCE_TEXT_BYTES];

    gw_source_text(row->source, text);
    return json_pack("{s:s, s:I, s:s}", "source", text, "seconds", (json_int_t)row->seconds_left,
                     "by", row->by_hand ? "hand" : "failures");
}

json_t *lockout_locked(struct gateway *g, const json_t *command, const char **why)
{
    struct gw_lockout_row rows[ROWS_SHOWN_MAX];
    uint32_t count = gw_lockout_list(g->lockout, gw_clock_now(), rows, ROWS_SHOWN_MAX);
    json_t *list = json_array();

    (void)command;
    *why = "out of memory";
    for (uint32_t i = 0; i < count && i < ROWS_SHOWN_MAX; i++)
        (void)json_array_append_new(list, row_object(&rows[i]));
    return json_pack("{s:I, s:o}", "count", (json_int_t)count, "locked", list);
}

static bool read_source(const json_t *command, struct gw_source *out, const char **why)
{
    const char *text = json_string_value(json_object_get(command, "source"));

    *why = "\"source\" is an IPv4 or IPv6 address; an IPv6 one stands for its /64";
    return text != NULL && gw_source_parse(text, out);
}

static json_t *conclude(const char *command, struct gw_source source, const char *result)
{
    char text[GW_SOURCE_TEXT_BYTES];

    gw_source_text(source, text);
    gw_log(GW_LOG_INFO, "command", GW_TEXT("command", command), GW_TEXT("source", text),
           GW_TEXT("result", result));
    return json_pack("{s:s, s:s}", "source", text, "result", result);
}

json_t *lockout_ban(struct gateway *g, const json_t *command, const char **why)
{
    const json_t *field = json_object_get(command, "seconds");
    json_int_t seconds = field == NULL ? g->config->lockout_lock_s : json_integer_value(field);
    struct gw_source source;

    if (!read_source(command, &source, why))
        return NULL;
    *why = "\"seconds\" is a number from 1 to 31536000";
    if (seconds < 1 || seconds > BAN_S_MAX)
        return NULL;
    return conclude("ban", source,
                    gw_lockout_ban(g->lockout, source, gw_clock_now(), (uint32_t)seconds) == 0
                        ? "banned"
                        : "full");
}

json_t *lockout_unban(struct gateway *g, const json_t *command, const char **why)
{
    struct gw_source source;

    if (!read_source(command, &source, why))
        return NULL;
    return conclude("unban", source,
                    gw_lockout_unban(g->lockout, source, gw_clock_now()) ? "unbanned"
                                                                         : "not_locked");
}
