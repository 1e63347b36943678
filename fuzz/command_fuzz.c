/*
 * Target  the control socket's lines (gateway/app/commands.c)
 *
 * Input   a line
 *
 * Oracle  one answer each, a JSON object on one line with the command's id; what goes to a device
 *         is a frame that a device may get, with a body of parts, the first and last of which are
 *         not empty; writes have two or more
 *
 * The file itself is compiled in here, with a socket, an index and a shard in the place of the real
 * ones: every device below 1000 is there and is delivered to.
 */
#include "../gateway/app/commands.c" /* NOLINT(bugprone-suspicious-include): see above */

#include "fuzz.h"

enum { BODY_BYTES_MAX = 256, DEVICES = 1000 };

static struct gw_control_options given; /* what commands.c asked for */
static struct gw_bytes line;
static unsigned answers;

/* ---- the socket ---- */

int gw_control_create(const struct gw_control_options *options, struct gw_control **out,
                      char why[GW_CONTROL_WHY_BYTES])
{
    static char place;

    (void)why;
    given = *options;
    *out = (struct gw_control *)&place;
    return 0;
}

void gw_control_destroy(struct gw_control *control)
{
    (void)control;
}

size_t gw_control_fds(const struct gw_control *control, struct gw_instant now, struct pollfd *fds)
{
    (void)control;
    (void)now;
    (void)fds;
    return 0;
}

void gw_control_step(struct gw_control *control, struct gw_instant now, const struct pollfd *fds,
                     size_t count)
{
    (void)control;
    (void)now;
    (void)fds;
    (void)count;
}

void gw_control_answer(struct gw_control *control, struct gw_instant now,
                       struct gw_control_client to, struct gw_bytes answer)
{
    json_t *object = json_loadb((const char *)answer.data, answer.size, 0, NULL);
    json_t *asked = json_loadb((const char *)line.data, line.size, JSON_REJECT_DUPLICATES, NULL);
    json_t *id = json_object_get(asked, "id");

    (void)control;
    (void)now;
    gw_assert(to.place == 3 && to.life == 4);
    gw_assert(json_is_object(object) && memchr(answer.data, '\n', answer.size) == NULL);
    gw_assert(json_object_get(object, "error") != NULL ||
              json_object_get(object, "result") != NULL ||
              json_object_get(object, "locked") != NULL);
    if (json_is_integer(id) || json_is_string(id))
        gw_assert(json_equal(id, json_object_get(object, "id")) != 0);
    else
        gw_assert(json_object_get(object, "id") == NULL);
    json_decref(asked);
    json_decref(object);
    answers++;
}

/* ---- the index ---- */

const struct gw_index_view *gw_index_reader_view(struct gw_index_reader *reader)
{
    static const char view;

    (void)reader;
    return (const struct gw_index_view *)&view; /* never looked into */
}

void gw_index_reader_pause(struct gw_index_reader *reader)
{
    (void)reader;
}

int gw_catalog_device(const struct gw_index_view *view, uint32_t number, struct gw_device_info *out)
{
    (void)view;
    (void)out;
    return number < DEVICES ? 0 : -ENOENT;
}

/* ---- the shard ---- */

const char *gw_downlink_word(enum gw_downlink_result result)
{
    return result == GW_DOWNLINK_DELIVERED ? "delivered" : "too_big";
}

static void check_frame(const struct gw_frame *frame)
{
    unsigned parts = 1;

    gw_assert(frame->type == GW_FRAME_HARDWARE || frame->type == GW_FRAME_INTERNAL);
    gw_assert(frame->body.size > 0 && frame->body.size <= BODY_BYTES_MAX);
    for (size_t i = 0; i < frame->body.size; i++)
        parts += frame->body.data[i] == '\0';
    gw_assert((parts >= 2 || frame->type == GW_FRAME_INTERNAL) && frame->body.data[0] != '\0');
    gw_assert(frame->body.data[frame->body.size - 1] != '\0');
}

void gw_shard_downlink(struct gw_shard *any, struct gw_downlink *downlink)
{
    (void)any;
    gw_assert(downlink->device >= 1 && downlink->device < DEVICES);
    if (!downlink->question)
        check_frame(&downlink->frame);
    downlink->result = GW_DOWNLINK_DELIVERED;
    if (gw_inbox_put(&downlink->desk->answers, &downlink->item))
        downlink->desk->wake(downlink->desk->context);
}

/* ---- the rest of the gateway ---- */

json_t *lockout_locked(struct gateway *g, const json_t *command, const char **why)
{
    (void)g, (void)command, (void)why;
    return json_pack("{s:i, s:[]}", "count", 0, "locked");
}

json_t *lockout_ban(struct gateway *g, const json_t *command, const char **why)
{
    (void)g;
    *why = "no address";
    return json_object_get(command, "source") != NULL ? json_pack("{s:s}", "result", "banned")
                                                      : NULL;
}

json_t *lockout_unban(struct gateway *g, const json_t *command, const char **why)
{
    return lockout_ban(g, command, why);
}

void audit_tell(const struct gateway *g, enum gw_audit_kind kind, const char *reason,
                const char *subject, const char *detail)
{
    (void)g, (void)kind, (void)reason, (void)subject, (void)detail;
}

void audit_command(const struct gateway *g, const char *command, uint32_t device,
                   const char *result)
{
    (void)g, (void)command, (void)device, (void)result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gw_config config = {.control_path = (char *)"control",
                                      .frame_body_bytes_max = BODY_BYTES_MAX};
    static struct gw_shard *shards[1];
    static struct gateway gateway = {.config = &config, .shards = shards};
    struct pollfd fds[COMMANDS_FDS_MAX] = {{.fd = -1}};
    struct commands *commands;
    char why[WHY_BYTES];

    if (size >= GW_CONTROL_LINE_BYTES_MAX || (size > 0 && memchr(data, '\n', size) != NULL))
        return 0;
    gw_log_level_set(GW_LOG_ERROR);
    line = gw_bytes_of(data, size);
    answers = 0;
    gw_assert(commands_create(&gateway, &commands, why) == EXIT_OK);
    given.line(given.context, (struct gw_control_client){.place = 3, .life = 4}, line);
    commands_step(commands, gw_clock_now(), fds, 1);
    gw_assert(answers == 1);
    commands_destroy(commands);
    return 0;
}
