#include "downlink_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sys_gateway gateway;
struct sys_device devices[DEVICES];
struct sys_updates updates;
struct control_link desk;
char answer[CONTROL_ANSWER_BYTES];
char *socket_path;

void log_in(struct sys_client *c, const struct sys_device *device, size_t i)
{
    sys_must(&gateway, c, sys_connect(&gateway, c, (enum sys_transport)(i % SYS_TRANSPORTS)));
    sys_must(&gateway, c, sys_client_login(c, device->token, GW_RESPONSE_OK));
}

void expect_frame(struct sys_client *c, uint8_t type, const char *body)
{
    struct gw_frame frame;
    char *seen;

    sys_must(&gateway, c, sys_client_frame(c, &frame, sys_ms(SOON_MS)));
    assert_int_equal(frame.type, type);
    assert_int_not_equal(frame.msg_id, 0);
    seen = malloc(frame.body.size + 1);
    assert_non_null(seen);
    for (size_t i = 0; i < frame.body.size; i++)
        seen[i] = frame.body.data[i] == 0 ? '|' : (char)frame.body.data[i];
    seen[frame.body.size] = '\0';
    assert_string_equal(seen, body);
    free(seen);
}

const char *number_text(const struct sys_device *device, char out[16])
{
    (void)snprintf(out, 16, "%u", device->number);
    return out;
}

int ctl(struct sys_output *out, const char *const *words)
{
    sys_ctl_over(&gateway, socket_path, out, words);
    return out->exit_code;
}

void expect_ctl(int code, const char *text, const char *const *words)
{
    struct sys_output out;
    int seen = ctl(&out, words);

    sys_check(&gateway,
              seen == code && (strstr(out.out, text) != NULL || strstr(out.err, text) != NULL),
              "%s %s: exit %d, not %d with \"%s\":\n%s%s", words[0], words[1], seen, code, text,
              out.out, out.err);
    sys_output_release(&out);
}

const char *send_value(const struct sys_device *device, const char *value)
{
    return control_ask(&desk, answer,
                       "{\"id\":1,\"cmd\":\"send\",\"device\":%u,\"pin\":\"V1\",\"value\":\"%s\"}",
                       device->number, value);
}

const struct gw_record *newest_write(const struct sys_device *device, size_t count)
{
    const struct sys_update *last = NULL;

    sys_updates_wait(&gateway, &updates, device->number, GW_RECORD_PIN_WRITE, count);
    assert_int_equal(sys_updates_count(&updates, device->number, GW_RECORD_PIN_WRITE, &last),
                     count);
    return &last->record;
}

void expect_synced(struct sys_client *c, uint16_t msg_id, const char *body)
{
    sys_must(&gateway, c, sys_client_send_frame(c, GW_FRAME_HARDWARE_SYNC, msg_id, "vr\0001", 4));
    expect_frame(c, GW_FRAME_HARDWARE, body);
}

static void open_desk(void)
{
    socket_path = sys_text("%s/control", gateway.dir);
    assert_true(control_open(&desk, socket_path));
}

static void close_desk(void)
{
    control_close(&desk);
    free(socket_path);
}

int run_downlink_tests(const char *name, const struct CMUnitTest *tests, size_t count)
{
    const struct sys_group group = {
        .name = name,
        .gateway = &gateway,
        .options = {.shards = SHARDS,
                    .config = "control: { path = \"control\"; };\n"
                              "bridge: { targets_max = 2; sessions_max = 4; };\n"},
        .devices = devices,
        .device_count = GW_ARRAY_COUNT(devices),
        .updates = &updates,
        .started = open_desk,
        .finish = close_desk,
    };

    return sys_group_run(&group, tests, count);
}
