/*
 * What the control socket's lines say (docs/downlink.md): a JSON object each, answered by one with
 * the same "id". A command becomes a frame, the frame goes to the shard of its device, and the
 * result comes back to a desk that the control thread looks at.
 *
 *   I1  A command that is under way is in the pool until its result came; its answer goes to the
 *       client that gave it, if that is still there.
 *
 * Values and addresses of firmware are payload: they are in no log line.
 */
#include "gateway_internal.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <gw/base/assert.h>
#include <gw/base/log.h>
#include <gw/base/slab.h>
#include <gw/journal/record.h>
#include <gw/shard/downlink.h>
#include <gw/token/catalog.h>
#include <gw/wire/body.h>

enum {
    UNDER_WAY_MAX = GW_CONTROL_CLIENTS_MAX * GW_CONTROL_PENDING_MAX,
    VALUES_MAX = 64,
    REFUSAL_BYTES = 256,
    FIELD_BYTES_SHOWN = 64,
};

struct under_way {
    struct gw_downlink downlink; /* first */
    struct gw_control_client from;
    json_t *id;       /* NULL: none was given */
    const char *name; /* of the command       */
    uint8_t body[];
};

struct commands {
    struct gateway *gateway;
    struct gw_control *control;
    struct gw_downlink_desk desk;
    struct gw_slab pool; /* of struct under_way */
    uint32_t body_bytes_max;
    int wake_fd;
    struct gw_instant now;
};

/* A command that is being read: what it will send, or why it is refused. */
struct reading {
    json_t *object;
    struct gw_bytes parts[2 + VALUES_MAX]; /* of the frame's body */
    size_t part_count;
    uint8_t frame_type;
    char pin[4]; /* what parts may point to */
    char numbers[VALUES_MAX][32];
    char refusal[REFUSAL_BYTES];
};

/* ---- answers ---- */

/* Takes `answer`, which may be NULL for want of memory. */
static void send_answer(struct commands *c, struct gw_control_client to, json_t *id, json_t *answer)
{
    char *text = NULL;

    if (answer != NULL && (id == NULL || json_object_set(answer, "id", id) == 0))
        text = json_dumps(answer, JSON_COMPACT);
    json_decref(answer);
    gw_control_answer(c->control, c->now, to,
                      gw_bytes_text(text != NULL ? text : "{\"error\":\"out of memory\"}"));
    free(text);
}

static const char *time_text(uint64_t us, char out[32])
{
    time_t s = (time_t)(us / 1000000);
    struct tm parts;

    if (gmtime_r(&s, &parts) == NULL || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        out[0] = '\0';
    return out;
}

static json_t *result_object(const struct gw_downlink *downlink)
{
    json_int_t device = (json_int_t)downlink->device;
    char since[32];

    if (!downlink->question)
        return json_pack("{s:I, s:s}", "device", device, "result",
                         gw_downlink_word(downlink->result));
    if (downlink->result != GW_DOWNLINK_DELIVERED)
        return json_pack("{s:I, s:s}", "device", device, "result", "offline");
    return json_pack("{s:I, s:s, s:I, s:s}", "device", device, "result", "online", "shard",
                     (json_int_t)downlink->shard, "since", time_text(downlink->since_us, since));
}

static void on_result(struct commands *c, struct under_way *command)
{
    uint32_t slot = (uint32_t)(((const uint8_t *)command - c->pool.slots) / c->pool.slot_bytes);

    if (strcmp(command->name, "ota") == 0 || strcmp(command->name, "reboot") == 0)
        gw_log(GW_LOG_INFO, "command", GW_TEXT("command", command->name),
               GW_U64("device", command->downlink.device),
               GW_TEXT("result", gw_downlink_word(command->downlink.result)));
    if (!command->downlink.question)
        audit_command(c->gateway, command->name, command->downlink.device,
                      gw_downlink_word(command->downlink.result));
    send_answer(c, command->from, command->id, result_object(&command->downlink));
    json_decref(command->id);
    gw_slab_release(&c->pool, slot);
}

/* ---- reading ---- */

static bool GW_PRINTF(2, 3) refuse(struct reading *r, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    /* clang-tidy 14 does not see that va_start initializes. */
    (void)vsnprintf(r->refusal, sizeof r->refusal, format, /* NOLINT */ arguments);
    va_end(arguments);
    return false;
}

static void add_part(struct reading *r, struct gw_bytes part)
{
    r->parts[r->part_count++] = part;
}

/* "V1": the bank's write and the pin's number. */
static bool read_pin(struct reading *r)
{
    const char *pin = json_string_value(json_object_get(r->object, "pin"));
    uint8_t number;

    if (pin == NULL || pin[0] == '\0' || strchr("VvDdAa", pin[0]) == NULL ||
        !gw_pin_parse(gw_bytes_text(pin + 1), &number))
        return refuse(r, "\"pin\" is a text such as \"V1\": V, D or A and a number up to 255");
    add_part(r, gw_bytes_text(pin[0] == 'V' || pin[0] == 'v'   ? "vw"
                              : pin[0] == 'D' || pin[0] == 'd' ? "dw"
                                                               : "aw"));
    (void)snprintf(r->pin, sizeof r->pin, "%u", number);
    add_part(r, gw_bytes_text(r->pin));
    return true;
}

static bool add_value(struct reading *r, const json_t *value)
{
    char *number = r->numbers[r->part_count - 2];
    const char *text = json_string_value(value);

    if (json_is_integer(value))
        (void)snprintf(number, sizeof r->numbers[0], "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        (void)snprintf(number, sizeof r->numbers[0], "%.15g", json_real_value(value));
    else if (text == NULL || text[0] == '\0')
        return refuse(r, "a value is a number, or a text that is not empty");
    add_part(r, gw_bytes_text(text != NULL ? text : number));
    return true;
}

static bool read_send(struct reading *r)
{
    const json_t *value = json_object_get(r->object, "value");
    const json_t *values = json_object_get(r->object, "values");

    r->frame_type = GW_FRAME_HARDWARE;
    if (!read_pin(r))
        return false;
    if ((value == NULL) == (values == NULL))
        return refuse(r, "\"send\" has a \"value\", or an array of \"values\"");
    if (value != NULL)
        return add_value(r, value);
    if (!json_is_array(values) || json_array_size(values) == 0 ||
        json_array_size(values) > VALUES_MAX)
        return refuse(r, "\"values\" is an array of 1 to %d values", VALUES_MAX);
    if (json_array_size(values) > 1 && r->parts[0].data[0] != 'v')
        return refuse(r, "only a virtual pin takes several values");
    for (size_t i = 0; i < json_array_size(values); i++)
        if (!add_value(r, json_array_get(values, i)))
            return false;
    return true;
}

static bool is_graphic(const char *text)
{
    while (*text != '\0' && isgraph((unsigned char)*text))
        text++;
    return *text == '\0';
}

static bool read_ota(struct reading *r)
{
    const char *url = json_string_value(json_object_get(r->object, "url"));

    if (url == NULL || (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) ||
        !is_graphic(url))
        return refuse(r, "\"url\" begins with http:// or https:// and has no blanks");
    r->frame_type = GW_FRAME_INTERNAL;
    add_part(r, gw_bytes_text("ota"));
    add_part(r, gw_bytes_text(url));
    return true;
}

static bool read_reboot(struct reading *r)
{
    r->frame_type = GW_FRAME_INTERNAL;
    add_part(r, gw_bytes_text("dbg"));
    add_part(r, gw_bytes_text("reboot"));
    return true;
}

/* The first user of the vendor's app has come, or the last one has left: some firmware wants to
 * know. */
static bool read_app(struct reading *r)
{
    const json_t *connected = json_object_get(r->object, "connected");

    if (!json_is_boolean(connected))
        return refuse(r, "\"connected\" is true or false");
    r->frame_type = GW_FRAME_INTERNAL;
    add_part(r, gw_bytes_text(json_is_true(connected) ? "acon" : "adis"));
    return true;
}

static bool read_status(struct reading *r)
{
    r->part_count = 0; /* nothing is sent */
    return true;
}

static const struct kind {
    const char *name;
    bool (*read)(struct reading *r);
    json_t *(*act)(struct gateway *g, const json_t *command, const char **why);
    const char *fields[3]; /* beside id and cmd */
} kinds[] = {
    /* to a device, as what `read` makes of it */
    {"send", read_send, NULL, {"pin", "value", "values"}},
    {"ota", read_ota, NULL, {"url"}},
    {"reboot", read_reboot, NULL, {NULL}},
    {"app", read_app, NULL, {"connected"}},
    {"status", read_status, NULL, {NULL}},
    /* done here and now */
    {"locked", NULL, lockout_locked, {NULL}},
    {"ban", NULL, lockout_ban, {"source", "seconds"}},
    {"unban", NULL, lockout_unban, {"source"}},
};

static bool is_field(const struct kind *kind, const char *key)
{
    if (strcmp(key, "id") == 0 || strcmp(key, "cmd") == 0 ||
        (kind->act == NULL && strcmp(key, "device") == 0))
        return true;
    for (size_t i = 0; i < GW_ARRAY_COUNT(kind->fields) && kind->fields[i] != NULL; i++)
        if (strcmp(key, kind->fields[i]) == 0)
            return true;
    return false;
}

static const struct kind *read_kind(struct reading *r)
{
    const char *name = json_string_value(json_object_get(r->object, "cmd"));
    const struct kind *kind = NULL;
    const char *key;
    json_t *value;

    for (size_t i = 0; i < GW_ARRAY_COUNT(kinds) && name != NULL; i++)
        if (strcmp(name, kinds[i].name) == 0)
            kind = &kinds[i];
    if (kind == NULL) {
        (void)refuse(r,
                     "\"cmd\" is \"send\", \"ota\", \"reboot\", \"app\", \"status\", \"locked\", "
                     "\"ban\" or \"unban\"");
        return NULL;
    }
    json_object_foreach(r->object, key, value)
    {
        if (!is_field(kind, key)) {
            (void)refuse(r, "\"%s\" has no field \"%s\"", name,
                         strlen(key) <= FIELD_BYTES_SHOWN ? key : "...");
            return NULL;
        }
    }
    return kind;
}

/* A number, or its digits. */
static bool read_device(struct reading *r, uint32_t *device)
{
    const json_t *value = json_object_get(r->object, "device");
    const char *text = json_string_value(value);
    json_int_t number = json_integer_value(value);

    if (text != NULL && strlen(text) <= 10 && strspn(text, "0123456789") == strlen(text))
        number = strtoll(text, NULL, 10);
    if (number < 1 || number > UINT32_MAX)
        return refuse(r, "\"device\" is the number of a device");
    *device = (uint32_t)number;
    return true;
}

/* Not in an index that can be read. */
static bool is_unknown(struct commands *c, uint32_t device)
{
    const struct gw_index_view *view = gw_index_reader_view(c->gateway->reader);
    struct gw_device_info info;
    int err = view == NULL ? -EIO : gw_catalog_device(view, device, &info);

    gw_index_reader_pause(c->gateway->reader);
    return err == -ENOENT;
}

/* ---- commands ---- */

/* Sends what was read, or answers at once. */
static void set_out(struct commands *c, struct gw_control_client from, json_t *id,
                    const struct kind *kind, const struct reading *r, uint32_t device)
{
    uint32_t slot;
    size_t bytes;

    if (is_unknown(c, device)) {
        send_answer(c, from, id,
                    json_pack("{s:I, s:s}", "device", (json_int_t)device, "result", "unknown"));
        return;
    }
    slot = gw_slab_acquire(&c->pool);
    gw_assert(slot != GW_NONE); /* no client has more than its share under way */
    struct under_way *command = gw_slab_at(&c->pool, slot);

    *command = (struct under_way){.from = from, .id = json_incref(id), .name = kind->name};
    command->downlink.desk = &c->desk;
    command->downlink.device = device;
    command->downlink.question = r->part_count == 0;
    command->downlink.recorded_as = r->frame_type == GW_FRAME_HARDWARE ? GW_RECORD_FROM_CONTROL : 0;
    bytes = gw_body_join(command->body, c->body_bytes_max, r->parts, r->part_count);
    command->downlink.frame =
        (struct gw_frame){.type = r->frame_type, .body = gw_bytes_of(command->body, bytes)};
    if (r->part_count > 0 && bytes == 0) {
        command->downlink.result = GW_DOWNLINK_TOO_BIG;
        on_result(c, command);
        return;
    }
    gw_shard_downlink(c->gateway->shards[0], &command->downlink);
}

static void on_line(void *context, struct gw_control_client from, struct gw_bytes line)
{
    struct commands *c = context;
    struct reading r = {.refusal = ""};
    json_t *done = NULL;
    const char *refusal = NULL;
    json_error_t why;
    json_t *object = json_loadb((const char *)line.data, line.size, JSON_REJECT_DUPLICATES, &why);
    json_t *id = json_object_get(object, "id");
    const struct kind *kind = NULL;
    uint32_t device = 0;

    r.object = object;
    if (object == NULL) {
        (void)refuse(&r, "not JSON, from byte %d on", why.position);
    } else if (!json_is_object(object)) {
        (void)refuse(&r, "a command is an object");
    } else if (id != NULL && !json_is_integer(id) && !json_is_string(id)) {
        (void)refuse(&r, "\"id\" is a number or a text");
        id = NULL;
    } else {
        kind = read_kind(&r);
    }
    if (kind != NULL && kind->act != NULL &&
        (done = kind->act(c->gateway, object, &refusal)) == NULL)
        (void)refuse(&r, "%s", refusal);
    if (done != NULL) {
        if (kind->fields[0] != NULL) /* it changed something */
            audit_tell(c->gateway, GW_AUDIT_COMMAND, kind->name,
                       json_string_value(json_object_get(object, "source")), "done");
        send_answer(c, from, id, done);
    } else if (kind != NULL && kind->act == NULL && read_device(&r, &device) && kind->read(&r))
        set_out(c, from, id, kind, &r, device);
    else
        send_answer(c, from, id, json_pack("{s:s}", "error", r.refusal));
    json_decref(object);
}

/* From a shard's thread. */
static void wake(void *context)
{
    const struct commands *c = context;
    uint64_t one = 1;

    if (write(c->wake_fd, &one, sizeof one) < 0)
        gw_assert(errno == EAGAIN); /* it is readable already */
}

static void take_results(struct commands *c)
{
    struct gw_inbox_item *items;
    uint64_t wakes;

    if (read(c->wake_fd, &wakes, sizeof wakes) < 0 && errno != EAGAIN && errno != EINTR)
        gw_unreachable("an eventfd that cannot be read");
    items = gw_inbox_take(&c->desk.answers);
    while (items != NULL) {
        struct gw_inbox_item *next = items->next;

        on_result(c, (struct under_way *)items);
        items = next;
    }
}

/* ---- the control thread's loop ---- */

int commands_create(struct gateway *g, struct commands **out, char *why)
{
    struct commands *c;
    struct gw_control_options options = {
        .path = g->config->control_path,
        .line = on_line,
        .too_long = "{\"error\":\"a line has at most 16384 bytes\"}",
    };
    int err;

    *out = NULL;
    if (options.path == NULL)
        return EXIT_OK;
    c = aligned_alloc(GW_CACHE_LINE,
                      (sizeof *c + GW_CACHE_LINE - 1) & ~(size_t)(GW_CACHE_LINE - 1));
    if (c == NULL) {
        (void)snprintf(why, WHY_BYTES, "control.path: out of memory");
        return EXIT_SYSTEM;
    }
    *c = (struct commands){.gateway = g,
                           .body_bytes_max = g->config->frame_body_bytes_max,
                           .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    c->pool = GW_SLAB_EMPTY;
    c->desk.wake = wake;
    c->desk.context = c;
    options.context = c;
    err = c->wake_fd < 0
              ? -errno
              : gw_slab_init(&c->pool,
                             (uint32_t)(sizeof(struct under_way) + c->body_bytes_max + 7) & ~7u,
                             UNDER_WAY_MAX);
    if (err != 0)
        (void)snprintf(why, WHY_BYTES, "control.path: %s", strerror(-err));
    else if ((err = gw_control_create(&options, &c->control, why)) == 0)
        gw_log(GW_LOG_INFO, "control", GW_TEXT("path", options.path));
    *out = c;
    switch (-err) {
    case 0:
        return EXIT_OK;
    case EADDRINUSE:
        return EXIT_BUSY;
    case EACCES:
    case EPERM:
    case EROFS:
        return EXIT_PERMISSION;
    case ENAMETOOLONG:
    case ENOENT:
    case ENOTDIR:
        return EXIT_CONFIG;
    default:
        return EXIT_SYSTEM;
    }
}

void commands_destroy(struct commands *c)
{
    if (c == NULL)
        return;
    gw_control_destroy(c->control);
    for (uint32_t slot = 0; slot < c->pool.fresh; slot++) /* no shard will answer any more */
        if (gw_slab_is_taken(&c->pool, slot))
            json_decref(((struct under_way *)gw_slab_at(&c->pool, slot))->id);
    gw_slab_fini(&c->pool);
    if (c->wake_fd >= 0)
        (void)close(c->wake_fd);
    free(c);
}

size_t commands_fds(const struct commands *c, struct gw_instant now, struct pollfd *fds)
{
    fds[0] = (struct pollfd){.fd = c->wake_fd, .events = POLLIN};
    return 1 + gw_control_fds(c->control, now, fds + 1);
}

void commands_step(struct commands *c, struct gw_instant now, const struct pollfd *fds,
                   size_t count)
{
    c->now = now;
    take_results(c);
    gw_control_step(c->control, now, fds + 1, count - 1);
}
