/*
 * A whole installation in a directory of its own. See harness.h.
 *
 * Where the programs lie comes from CMake: TOLLGATE, TOLLGATECTL and SLOW_DISK are paths.
 */
#include "harness.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include <gw/wire/token_text.h>

enum {
    READY_MS = 10000,
    STOP_MS = 15000,
    LOG_MS = 5000,
    LOOK_AGAIN_MS = 5,
    LOG_LINES_SHOWN = 30,
    CTL_ARGS_MAX = 24,
};

static char *path_in(const char *dir, const char *name)
{
    return sys_text("%s/%s", dir, name);
}

void sys_fail(struct sys_gateway *g, const char *file, int line, const char *format, ...)
{
    char message[2048];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (g != NULL && g->log_path != NULL) {
        char *log = sys_file_text(g->log_path);
        const char *from = log + strlen(log);

        for (unsigned lines = 0; from > log; from--)
            if (from[-1] == '\n' && lines++ == LOG_LINES_SHOWN)
                break;
        (void)fprintf(stderr, "---- the end of the gateway's log ----\n%s----\n", from);
        free(log);
    }
    (void)fprintf(stderr, "%s\n", message);
    _fail(file, line);
}

/* ---- tollgatectl ---- */

void sys_ctl_try(struct sys_gateway *g, const char *input, struct sys_output *out,
                 const char *const *args)
{
    const char *argv[CTL_ARGS_MAX] = {TOLLGATECTL};
    size_t count = 1;

    for (; *args != NULL; args++) {
        assert_true(count < CTL_ARGS_MAX - 1);
        argv[count++] = *args;
    }
    if (setenv("TOLLGATE_INDEX", g->index_path, 1) != 0 ||
        setenv("TOLLGATE_JOURNAL", g->journal_path, 1) != 0 || !sys_run(argv, input, out))
        sys_fail(g, __FILE__, __LINE__, "cannot run %s: %s", argv[0], strerror(errno));
}

void sys_ctl_over(struct sys_gateway *g, const char *socket, struct sys_output *out,
                  const char *const *words)
{
    const char *args[16];
    size_t count = 0;

    for (; words[count] != NULL; count++) {
        sys_check(g, count < GW_ARRAY_COUNT(args) - 3, "too many words for %s", words[0]);
        args[count] = words[count];
    }
    args[count++] = "--socket";
    args[count++] = socket;
    args[count] = NULL;
    sys_ctl_try(g, NULL, out, args);
}

char *sys_ctl(struct sys_gateway *g, const char *input, ...)
{
    const char *args[CTL_ARGS_MAX] = {NULL};
    struct sys_output output = {.exit_code = -1};
    size_t count = 0;
    va_list list;

    va_start(list, input);
    do {
        assert_true(count < CTL_ARGS_MAX);
        args[count] = va_arg(list, const char *);
    } while (args[count++] != NULL);
    va_end(list);
    sys_ctl_try(g, input, &output, args);
    sys_check(g, output.exit_code == 0, "tollgatectl %s %s: exit code %d\n%s%s", args[0],
              args[1] != NULL ? args[1] : "", output.exit_code, output.out, output.err);
    free(output.err);
    return output.out;
}

/* ---- the configuration ---- */

void sys_gateway_configure(struct sys_gateway *g, const char *config)
{
    const char *listener = g->options.listener != NULL ? g->options.listener : "";
    char *text = sys_text(
        "shards = %u;\n"
        "sessions_per_shard = %u;\n"
        "listeners = ( { address = \"127.0.0.1:%u\"; tls = false; %s },\n"
        "              { address = \"127.0.0.1:%u\"; tls = true; %s } %s );\n"
        "tls: { rsa_chain = \"rsa.pem\"; rsa_key = \"rsa.key\"; ec_chain = \"ec.pem\"; "
        "ec_key = \"ec.key\"; %s };\n"
        "index: { path = \"index\"; high_water = \"high-water\"; };\n"
        "journal: { path = \"%s\"; %s };\n"
        "drain: { s_max = %u; };\n"
        "lockout: { %s };\n"
        "flapping: { %s };\n"
        "admin: { listen = \"127.0.0.1:0\"; };\n"
        "log: { level = \"%s\"; };\n"
        "%s",
        g->options.shards != 0 ? g->options.shards : 2,
        g->options.sessions != 0 ? g->options.sessions : 2048, g->plain_port, listener, g->tls_port,
        listener, g->options.listeners != NULL ? g->options.listeners : "",
        g->options.tls != NULL ? g->options.tls : "", g->journal_path,
        g->options.journal != NULL ? g->options.journal
                                   : "segment_bytes = 16777216; batches_per_lane = 8;",
        g->options.drain_s, g->options.lockout != NULL ? g->options.lockout : "profile = \"off\";",
        g->options.flapping != NULL ? g->options.flapping : "logins = 0;",
        g->options.debug ? "debug" : "info", config != NULL ? config : "");

    sys_check(g, sys_file_write(g->config_path, text), "%s: %s", g->config_path, strerror(errno));
    free(text);
}

void sys_gateway_create(struct sys_gateway *g, const struct sys_gateway_options *options)
{
    *g = (struct sys_gateway){.options = *options};
    if (g->options.drain_s == 0)
        g->options.drain_s = 5;
    g->dir = sys_tree_create();
    g->config_path = path_in(g->dir, "tollgate.conf");
    g->log_path = path_in(g->dir, "log");
    g->index_path = path_in(g->dir, "index");
    g->journal_path =
        options->journal_path != NULL ? strdup(options->journal_path) : path_in(g->dir, "journal");
    g->stall_path = path_in(g->dir, "stall");
    g->ca_path = path_in(g->dir, "ca.pem");
    free(sys_ctl(g, NULL, "dev-cert", "--host", "127.0.0.1", "--host", "localhost", "--out", g->dir,
                 NULL));
    free(sys_ctl(g, NULL, "index", "init", NULL));
    free(sys_ctl(g, NULL, "org", "add", "Test", NULL));
    free(sys_ctl(g, NULL, "product", "add", "--id", SYS_PRODUCT, "--org", "Test", "--name",
                 "Sensor", "--plain", NULL));
    g->tls = sys_tls_create(g->ca_path);
    sys_gateway_configure(g, options->config);
}

void sys_gateway_destroy(struct sys_gateway *g)
{
    if (g->pid != 0)
        sys_gateway_kill(g);
    if (g->dir != NULL)
        sys_tree_remove(g->dir);
    SSL_CTX_free(g->tls);
    free(g->dir);
    free(g->config_path);
    free(g->log_path);
    free(g->index_path);
    free(g->journal_path);
    free(g->stall_path);
    free(g->ca_path);
    *g = (struct sys_gateway){.pid = 0};
}

/* ---- the log ---- */

char *sys_gateway_log(const struct sys_gateway *g)
{
    char *all = sys_file_text(g->log_path);
    size_t bytes = strlen(all);
    size_t mark = g->log_mark < bytes ? g->log_mark : bytes;

    memmove(all, all + mark, bytes - mark + 1);
    return all;
}

bool sys_gateway_log_has(const struct sys_gateway *g, const char *text)
{
    char *log = sys_gateway_log(g);
    bool has = strstr(log, text) != NULL;

    free(log);
    return has;
}

/* The value of ` key=` in a logfmt line, owned by the caller; NULL when it is not there. */
static char *logfmt_value(const char *line, const char *key)
{
    size_t key_bytes = strlen(key);

    for (const char *p = line; *p != '\0'; p++) {
        const char *value = p + key_bytes + 1;

        if ((p > line && p[-1] != ' ') || strncmp(p, key, key_bytes) != 0 || p[key_bytes] != '=')
            continue;
        if (*value == '"')
            return strndup(value + 1, strcspn(value + 1, "\""));
        return strndup(value, strcspn(value, " "));
    }
    return NULL;
}

/* The nth line of the log with this event, and, when `key` is given, only lines that have it. */
static bool log_line(char *log, const char *event, unsigned nth, const char *key, char **value)
{
    char *rest = NULL;

    for (char *line = strtok_r(log, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        char *seen = logfmt_value(line, "event");
        bool same = seen != NULL && strcmp(seen, event) == 0;

        free(seen);
        if (!same || nth-- > 0)
            continue;
        *value = key != NULL ? logfmt_value(line, key) : NULL;
        return true;
    }
    return false;
}

char *sys_gateway_log_wait(struct sys_gateway *g, const char *event, unsigned nth, const char *key)
{
    uint64_t deadline = sys_now_ms() + sys_ms(event[0] == 'r' ? READY_MS : LOG_MS);

    for (;;) {
        char *log = sys_gateway_log(g), *value = NULL;
        bool found = log_line(log, event, nth, key, &value);
        int exit_code;

        free(log);
        if (found && (key == NULL || value != NULL))
            return value;
        if (found)
            sys_fail(g, __FILE__, __LINE__, "event=%s has no %s", event, key);
        if (g->pid != 0 && sys_wait(g->pid, 0, &exit_code)) {
            g->pid = 0;
            sys_fail(g, __FILE__, __LINE__, "the gateway exited with %d; waited for event=%s",
                     exit_code, event);
        }
        if (sys_now_ms() > deadline)
            sys_fail(g, __FILE__, __LINE__, "no event=%s in the log", event);
        sys_pause_ms(LOOK_AGAIN_MS);
    }
}

/* ---- the process ---- */

void sys_gateway_launch(struct sys_gateway *g)
{
    const char *program = g->options.program != NULL ? g->options.program : TOLLGATE;
    const char *const argv[] = {program, "--config", g->config_path, NULL};
    char *preload = sys_text("LD_PRELOAD=%s", SLOW_DISK);
    char *stall = sys_text("SLOW_DISK_STALL=%s", g->stall_path);
    const char *const slow[] = {preload, stall, NULL};
    char *log = sys_file_text(g->log_path);

    g->log_mark = strlen(log);
    g->pid = sys_spawn(argv, g->options.slow_disk ? slow : g->options.env, g->log_path);
    free(log);
    free(preload);
    free(stall);
    if (g->pid <= 0) {
        g->pid = 0;
        sys_fail(g, __FILE__, __LINE__, "cannot start %s: %s", program, strerror(errno));
    }
}

static uint16_t port_of(const char *address)
{
    const char *colon = strrchr(address, ':');

    return colon == NULL ? 0 : (uint16_t)strtoul(colon + 1, NULL, 10);
}

void sys_gateway_await(struct sys_gateway *g)
{
    char *address;

    for (unsigned i = 0; i < 2; i++) {
        char *tls = sys_gateway_log_wait(g, "listening", i, "tls");

        address = sys_gateway_log_wait(g, "listening", i, "address");
        *(strcmp(tls, "1") == 0 ? &g->tls_port : &g->plain_port) = port_of(address);
        free(address);
        free(tls);
    }
    free(sys_gateway_log_wait(g, "ready", 0, NULL));
    address = sys_gateway_log_wait(g, "admin", 0, "address");
    g->admin_port = port_of(address);
    free(address);
    sys_check(g, g->tls_port != 0 && g->plain_port != 0 && g->admin_port != 0,
              "the log names no port");
}

void sys_gateway_start(struct sys_gateway *g)
{
    sys_gateway_launch(g);
    sys_gateway_await(g);
}

void sys_gateway_expect_no_report(struct sys_gateway *g)
{
    sys_check(g, !sys_gateway_log_has(g, "Sanitizer:"), "a sanitizer has reported something");
}

void sys_gateway_stop(struct sys_gateway *g)
{
    int exit_code = -1;

    assert_int_not_equal(g->pid, 0);
    kill(g->pid, SIGTERM);
    if (!sys_wait(g->pid, sys_ms(STOP_MS), &exit_code))
        sys_fail(g, __FILE__, __LINE__, "still running %d s after SIGTERM", STOP_MS / 1000);
    g->pid = 0;
    sys_gateway_expect_no_report(g);
    sys_check(g, exit_code == 0, "exit code %d after SIGTERM", exit_code);
}

void sys_gateway_kill(struct sys_gateway *g)
{
    int exit_code;

    kill(g->pid, SIGKILL);
    if (!sys_wait(g->pid, sys_ms(STOP_MS), &exit_code))
        sys_fail(g, __FILE__, __LINE__, "still there %d s after SIGKILL", STOP_MS / 1000);
    g->pid = 0;
    sys_gateway_expect_no_report(g);
}

/* ---- devices ---- */

/* The numbers that the index gave to devices with these names. */
static void read_numbers(struct sys_gateway *g, struct sys_device *devices, size_t count)
{
    char *text = sys_ctl(g, NULL, "device", "list", "--json", NULL);
    json_error_t why;
    json_t *list = json_loads(text, 0, &why);
    size_t found = 0, i;
    json_t *item;

    sys_check(g, json_is_array(list), "device list --json: %s\n%s", why.text, text);
    json_array_foreach(list, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        json_int_t number = json_integer_value(json_object_get(item, "device"));

        for (size_t k = 0; k < count; k++)
            if (name != NULL && strcmp(devices[k].name, name) == 0) {
                devices[k].number = (uint32_t)number;
                found++;
            }
    }
    sys_check(g, found == count, "device list shows %zu of %zu devices\n%s", found, count, text);
    json_decref(list);
    free(text);
}

void sys_devices_add(struct sys_gateway *g, const char *product, struct sys_device *devices,
                     size_t count)
{
    char *path = path_in(g->dir, "devices.csv");
    FILE *csv = fopen(path, "w");

    assert_non_null(csv);
    (void)fputs("token,product,name\n", csv);
    for (size_t i = 0; i < count; i++) {
        uint8_t token[GW_TOKEN_BYTES];

        assert_int_equal(getrandom(token, sizeof token, 0), sizeof token);
        gw_token_to_text(token, devices[i].token);
        devices[i].token[GW_TOKEN_TEXT_BYTES] = '\0';
        (void)snprintf(devices[i].name, sizeof devices[i].name, "device-%u", g->device_names++);
        (void)fprintf(csv, "%s,%s,%s\n", devices[i].token, product, devices[i].name);
    }
    assert_int_equal(fclose(csv), 0);
    free(sys_ctl(g, NULL, "import", path, NULL));
    read_numbers(g, devices, count);
    (void)unlink(path);
    free(path);
}

void sys_devices_fill(struct sys_gateway *g, uint32_t count)
{
    char *tokens = path_in(g->dir, "tokens"), *number = sys_text("%u", count);

    free(sys_ctl(g, NULL, "index", "generate", "--devices", number, "--product", SYS_PRODUCT,
                 "--tokens", tokens, NULL));
    (void)unlink(tokens);
    free(number);
    free(tokens);
}

void sys_device_add(struct sys_gateway *g, const char *product, const char *token,
                    struct sys_device *device)
{
    char *line = sys_text("%s\n", token);

    (void)snprintf(device->token, sizeof device->token, "%s", token);
    (void)snprintf(device->name, sizeof device->name, "device-%u", g->device_names++);
    free(sys_ctl(g, line, "device", "add", "--product", product, "--name", device->name,
                 "--token-stdin", NULL));
    read_numbers(g, device, 1);
    free(line);
}

void sys_device_rotate(struct sys_gateway *g, struct sys_device *device)
{
    char *number = sys_text("%u", device->number);
    char *text = sys_ctl(g, NULL, "token", "rotate", number, NULL);

    for (char *rest, *word = strtok_r(text, " \t\n", &rest); word != NULL;
         word = strtok_r(NULL, " \t\n", &rest))
        if (strlen(word) == sizeof device->token - 1)
            memcpy(device->token, word, sizeof device->token);
    free(text);
    free(number);
}

struct sys_client_options sys_client_options(const struct sys_gateway *g,
                                             enum sys_transport transport)
{
    return (struct sys_client_options){
        .port = transport == SYS_PLAIN ? g->plain_port : g->tls_port,
        .transport = transport,
        .tls = g->tls,
    };
}

bool sys_connect(const struct sys_gateway *g, struct sys_client *c, enum sys_transport transport)
{
    struct sys_client_options options = sys_client_options(g, transport);

    return sys_client_open(c, &options);
}

/* ---- the disk ---- */

void sys_disk_stall(struct sys_gateway *g)
{
    assert_true(g->options.slow_disk);
    sys_check(g, sys_file_write(g->stall_path, ""), "%s: %s", g->stall_path, strerror(errno));
}

void sys_disk_resume(struct sys_gateway *g)
{
    (void)unlink(g->stall_path);
}

/* ---- the admin port ---- */

int sys_admin_get(const struct sys_gateway *g, const char *path, char **body)
{
    struct sys_client_options options = {.port = g->admin_port, .transport = SYS_PLAIN};
    struct sys_client c;
    uint64_t deadline = sys_now_ms() + sys_ms(LOG_MS);
    char *request = sys_text("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    int status = 0;

    if (body != NULL)
        *body = NULL;
    if (sys_client_open(&c, &options) && sys_client_send(&c, request, strlen(request))) {
        while (sys_now_ms() < deadline && sys_client_receive(&c, 50)) /* Connection: close */
            continue;
        char *answer = strndup(c.in_bytes > 0 ? (const char *)c.in : "", c.in_bytes);
        const char *end = strstr(answer, "\r\n\r\n");

        if (end != NULL && sscanf(answer, "HTTP/1.1 %3d", &status) == 1 && body != NULL)
            *body = strdup(end + 4);
        free(answer);
    }
    sys_client_close(&c);
    free(request);
    return status;
}

double sys_metric(struct sys_gateway *g, const char *name)
{
    char *body = NULL, *rest = NULL;
    size_t name_bytes = strlen(name);
    unsigned seen = 0;
    double sum = 0;

    sys_check(g, sys_admin_get(g, "/metrics", &body) == 200 && body != NULL, "no /metrics");
    for (char *line = strtok_r(body, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        const char *value = strrchr(line, ' ');

        if (strncmp(line, name, name_bytes) != 0 || value == NULL ||
            (line[name_bytes] != ' ' && line[name_bytes] != '{'))
            continue;
        sum += strtod(value + 1, NULL);
        seen++;
    }
    free(body);
    sys_check(g, seen > 0, "/metrics has no %s", name);
    return sum;
}
