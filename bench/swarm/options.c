/*
 * The command line of the swarm.
 */
#include "options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dialect.h"
#include "ledger.h"

enum {
    EXIT_USAGE = 64,
    EXIT_UNAVAILABLE = 69,
    HELP_GIVEN = -1,
    MQTT_VALUE_BYTES_MAX = 64,
    PIN_MAX = 255
};

static const char usage_text[] =
    "tollgate-bench: a swarm of simulated devices against a gateway\n"
    "\n"
    "  tollgate-bench hold     [options]   connect every device and keep it, with heartbeats\n"
    "  tollgate-bench publish  [options]   the same, and publish pin writes at a total --rate\n"
    "  tollgate-bench login    [options]   log in and close, again and again\n"
    "  tollgate-bench storm    [options]   everyone at once; ends when the last is in\n"
    "  tollgate-bench mixed    [options]   an ordinary day: heartbeats, updates, reconnects\n"
    "  tollgate-bench revoke   [options]   hold, take tokens away, and see how soon that is felt\n"
    "  tollgate-bench overload [options]   more log in, for longer, than can be let in\n"
    "  tollgate-bench verify --ledger FILE --journal DIR [--into RESULT]\n"
    "                                      is every acknowledged update in the journal?\n"
    "  tollgate-bench handshake --into RESULT MICRO...\n"
    "                                      what a login cost, beside its handshake alone as the\n"
    "                                      micro benchmarks saw it (--benchmark_out)\n"
    "  tollgate-bench compare BEFORE AFTER [--noise PERCENT]\n"
    "                                      two results: exit code 3 when a figure is worse by\n"
    "                                      more than 15%, or by --noise\n"
    "  tollgate-bench plot RESULT [--out FOLDER]\n"
    "                                      ramp, latency and memory as pictures, by gnuplot\n"
    "\n"
    "Target\n"
    "  --host HOST             default 127.0.0.1; other machines only with --allow-remote\n"
    "  --port PORT             default 9443 with TLS, 8080 without\n"
    "  --tls | --plain         default --tls\n"
    "  --ca FILE               PEM file the gateway's certificate must chain to\n"
    "  --insecure              accept any certificate\n"
    "  --tls-version V         1.2, 1.3 or any (default)\n"
    "  --protocol P            device (default); http: clients of the device API that keep their\n"
    "                          connections and ask a question each heartbeat; or mqtt: 3.1.1, to\n"
    "                          load a broker alike. Device N is user and client device-N with its\n"
    "                          token as password, and publishes to device-N/vPIN; every K-th\n"
    "                          update has QoS 1, see --ping-every, the others QoS 0\n"
    "  --allow-remote          load a machine that is not this one: ask its owner first\n"
    "Devices\n"
    "  --tokens FILE           one token a line, as `tollgatectl index generate --tokens` writes\n"
    "  --devices N             default: as many as there are tokens\n"
    "  --template TMPL         product id for the info frame; default: the frame names none\n"
    "  --heartbeat S           seconds, default 40 (overload: 1)\n"
    "  --give-up S             a login unanswered for this long is given up, default 6\n"
    "  --back-off S            a device comes back after this long, default 5\n"
    "Load\n"
    "  --ramp N                new connections a second, default 500\n"
    "  --at-once N             of these, attempts under way; the ramp waits for them. Default: "
    "one\n"
    "                          second of it; 0: it waits for nobody, and may end in a storm.\n"
    "                          With --restart: those of the storm, too; default: any number\n"
    "  --rate N                updates a second in all (publish, default 100), logins a second in\n"
    "                          all (login, default 0: as fast as the devices can)\n"
    "  --ping-every K          a device asks for an acknowledgement, by a PING, with every K-th\n"
    "                          update; default 10. It rides in the same write.\n"
    "                          0, the default of mixed: heartbeats acknowledge\n"
    "  --interval S            mixed: seconds between two updates of a device, default 60\n"
    "  --churn N               mixed: connections a second that break and are made again, default\n"
    "                          one in 1800 of the devices\n"
    "  --drop                  storm: bring everyone up by the ramp, then cut all at once\n"
    "  --restart DIR           storm: the same, but the gateway is ended and started again by "
    "whoever\n"
    "                          runs this: DIR/up is written when all are up, DIR/back is awaited,\n"
    "                          which holds the new process's pid\n"
    "  --resume PERCENT        login, storm, mixed: devices that come back with their TLS session\n"
    "                          ticket; default 0, for stock firmware never does\n"
    "  --revoke N              revoke: tokens to take away over --seconds, default 1000, less than "
    "a\n"
    "                          tenth of the devices. Every other one is made to log in meanwhile\n"
    "  --index DIR             revoke: the gateway's index. Its devices are numbered from 1 in "
    "the\n"
    "                          order of --tokens, as `tollgatectl index generate` does it\n"
    "  --settled N             overload: devices that come up first and stay; default a fiftieth.\n"
    "                          The others log in as often as the gateway can have it for 10 s, "
    "which\n"
    "                          is its capacity; then, for --seconds, so many that --times that "
    "are\n"
    "                          offered: all at once, leaving when they are in, and back after\n"
    "                          --back-off whatever became of it\n"
    "  --times N               overload: default 3\n"
    "  --pin N                 V pin to write, default 1\n"
    "  --pins N                write so many pins in turn, from --pin on; default 1. With many, "
    "few\n"
    "                          writes meet one that its last values still have in memory\n"
    "  --value-bytes N         of the value of an update, 8 to 4000; default: some 25, as short "
    "as\n"
    "                          what it says of itself, for `verify`\n"
    "  --seconds N             measure for so long once the ramp is over; default 0: until "
    "Ctrl-C.\n"
    "                          storm: how long the last may take, default 120\n"
    "Machine\n"
    "  --threads N             default: 1, more when the descriptor limit of a thread requires it\n"
    "  --source-addresses N    connect from 127.0.0.1 and its followers; default: as many as "
    "needed\n"
    "  --congestion NAME       TCP congestion control of the devices; default: the system's\n"
    "  --gather-us N           a thread wakes at most so often, to have more to do each time; "
    "what\n"
    "                          comes meanwhile waits, and latencies show it. Default 0: at once\n"
    "  --gateway-pid PID       read CPU time and memory of the gateway and of the processes it\n"
    "                          started from /proc\n"
    "  --empty-rss BYTES       resident memory of the same gateway made for one session a shard;\n"
    "                          what it has more is divided by the sessions\n"
    "  --planned-bytes BYTES   what the gateway says a session takes, to stand beside what is "
    "seen\n"
    "  --commit TEXT           what the result says was measured\n"
    "Results\n"
    "  --json FILE             the result as JSON as well (- for standard output)\n"
    "  --ledger FILE           what was sent and acknowledged, for `verify`\n"
    "  --told FILE             a line for each write to a pin that a device is told, as it comes\n"
    "  --quiet                 no progress line\n"
    "\n"
    "Latencies are measured from the moment a thing was due, so a slow gateway cannot hide by\n"
    "slowing the swarm. Devices wait, give up and come back as real ones do.\n"
    "\n"
    "A device takes 112 bytes, its token 32 and its TLS session 96 to 224 while it is idle; with "
    "a\n"
    "ticket to come back with, some 1,000 more. A million of them want some 60 threads, each with "
    "a\n"
    "descriptor table of its own, and 50 source addresses: both are the default.\n";

bool swarm_has_ramp(const struct swarm_options *options)
{
    if (options->mode == SWARM_STORM)
        return options->drop || options->restart != NULL;
    return options->mode != SWARM_LOGIN;
}

bool swarm_comes_and_goes(const struct swarm_options *options)
{
    return options->mode == SWARM_LOGIN || options->mode == SWARM_OVERLOAD;
}

void swarm_usage(bool to_stderr)
{
    fputs(usage_text, to_stderr ? stderr : stdout);
}

enum option_code {
    OPT_HOST = 256,
    OPT_PORT,
    OPT_TLS,
    OPT_PLAIN,
    OPT_CA,
    OPT_INSECURE,
    OPT_TLS_VERSION,
    OPT_PROTOCOL,
    OPT_ALLOW_REMOTE,
    OPT_TOKENS,
    OPT_DEVICES,
    OPT_TEMPLATE,
    OPT_CONGESTION,
    OPT_HEARTBEAT,
    OPT_GIVE_UP,
    OPT_BACK_OFF,
    OPT_RAMP,
    OPT_AT_ONCE,
    OPT_GATHER_US,
    OPT_RATE,
    OPT_PING_EVERY,
    OPT_PIN,
    OPT_PINS,
    OPT_VALUE_BYTES,
    OPT_SECONDS,
    OPT_THREADS,
    OPT_SOURCES,
    OPT_GATEWAY_PID,
    OPT_EMPTY_RSS,
    OPT_COMMIT,
    OPT_INTERVAL,
    OPT_CHURN,
    OPT_DROP,
    OPT_RESTART,
    OPT_RESUME,
    OPT_PLANNED,
    OPT_REVOKE,
    OPT_INDEX,
    OPT_SETTLED,
    OPT_TIMES,
    OPT_JSON,
    OPT_LEDGER,
    OPT_TOLD,
    OPT_QUIET,
    OPT_HELP,
};

static const struct option long_options[] = {
    {"host", required_argument, NULL, OPT_HOST},
    {"port", required_argument, NULL, OPT_PORT},
    {"tls", no_argument, NULL, OPT_TLS},
    {"plain", no_argument, NULL, OPT_PLAIN},
    {"ca", required_argument, NULL, OPT_CA},
    {"insecure", no_argument, NULL, OPT_INSECURE},
    {"tls-version", required_argument, NULL, OPT_TLS_VERSION},
    {"protocol", required_argument, NULL, OPT_PROTOCOL},
    {"allow-remote", no_argument, NULL, OPT_ALLOW_REMOTE},
    {"tokens", required_argument, NULL, OPT_TOKENS},
    {"devices", required_argument, NULL, OPT_DEVICES},
    {"template", required_argument, NULL, OPT_TEMPLATE},
    {"heartbeat", required_argument, NULL, OPT_HEARTBEAT},
    {"give-up", required_argument, NULL, OPT_GIVE_UP},
    {"back-off", required_argument, NULL, OPT_BACK_OFF},
    {"ramp", required_argument, NULL, OPT_RAMP},
    {"at-once", required_argument, NULL, OPT_AT_ONCE},
    {"congestion", required_argument, NULL, OPT_CONGESTION},
    {"gather-us", required_argument, NULL, OPT_GATHER_US},
    {"rate", required_argument, NULL, OPT_RATE},
    {"ping-every", required_argument, NULL, OPT_PING_EVERY},
    {"pin", required_argument, NULL, OPT_PIN},
    {"pins", required_argument, NULL, OPT_PINS},
    {"value-bytes", required_argument, NULL, OPT_VALUE_BYTES},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"source-addresses", required_argument, NULL, OPT_SOURCES},
    {"gateway-pid", required_argument, NULL, OPT_GATEWAY_PID},
    {"empty-rss", required_argument, NULL, OPT_EMPTY_RSS},
    {"commit", required_argument, NULL, OPT_COMMIT},
    {"interval", required_argument, NULL, OPT_INTERVAL},
    {"churn", required_argument, NULL, OPT_CHURN},
    {"drop", no_argument, NULL, OPT_DROP},
    {"restart", required_argument, NULL, OPT_RESTART},
    {"resume", required_argument, NULL, OPT_RESUME},
    {"planned-bytes", required_argument, NULL, OPT_PLANNED},
    {"revoke", required_argument, NULL, OPT_REVOKE},
    {"index", required_argument, NULL, OPT_INDEX},
    {"settled", required_argument, NULL, OPT_SETTLED},
    {"times", required_argument, NULL, OPT_TIMES},
    {"json", required_argument, NULL, OPT_JSON},
    {"ledger", required_argument, NULL, OPT_LEDGER},
    {"told", required_argument, NULL, OPT_TOLD},
    {"quiet", no_argument, NULL, OPT_QUIET},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static int refuse(const char *option, const char *value, const char *wanted)
{
    fprintf(stderr, "tollgate-bench: --%s %s: must be %s\n", option, value, wanted);
    return EXIT_USAGE;
}

static int take_count(const char *option, uint32_t min, uint32_t max, uint32_t *out)
{
    char wanted[64], *end;
    unsigned long value;

    errno = 0;
    value = strtoul(optarg, &end, 10);
    if (errno == 0 && end != optarg && *end == '\0' && optarg[0] != '-' && value >= min &&
        value <= max) {
        *out = (uint32_t)value;
        return 0;
    }
    snprintf(wanted, sizeof wanted, "a whole number from %u to %u", min, max);
    return refuse(option, optarg, wanted);
}

static int take_number(const char *option, double min, double max, double *out)
{
    char wanted[64], *end;
    double value = strtod(optarg, &end);

    if (end != optarg && *end == '\0' && isfinite(value) && value >= min && value <= max) {
        *out = value;
        return 0;
    }
    snprintf(wanted, sizeof wanted, "a number from %g to %g", min, max);
    return refuse(option, optarg, wanted);
}

static int take_tls_version(struct swarm_options *out)
{
    if (strcmp(optarg, "1.2") == 0)
        out->tls_version_min = out->tls_version_max = 0x0303;
    else if (strcmp(optarg, "1.3") == 0)
        out->tls_version_min = out->tls_version_max = 0x0304;
    else if (strcmp(optarg, "any") != 0)
        return refuse("tls-version", optarg, "1.2, 1.3 or any");
    return 0;
}

static int take_protocol(struct swarm_options *out)
{
    static const struct swarm_dialect *const dialects[] = {
        &swarm_dialect_device, &swarm_dialect_http, &swarm_dialect_mqtt};

    for (size_t i = 0; i < GW_ARRAY_COUNT(dialects); i++)
        if (strcmp(optarg, dialects[i]->word) == 0) {
            out->dialect = dialects[i];
            return 0;
        }
    return refuse("protocol", optarg, "device, http or mqtt");
}

static int take_option(int option, const char *name, struct swarm_options *out)
{
    uint32_t pid = 0;
    double bytes = 0;
    int err;

    switch (option) {
    case OPT_HOST:
        out->host = optarg;
        return 0;
    case OPT_PORT:
        out->port = optarg;
        return 0;
    case OPT_TLS:
        out->tls = true;
        return 0;
    case OPT_PLAIN:
        out->tls = false;
        return 0;
    case OPT_CA:
        out->ca = optarg;
        return 0;
    case OPT_INSECURE:
        out->insecure = true;
        return 0;
    case OPT_TLS_VERSION:
        return take_tls_version(out);
    case OPT_PROTOCOL:
        return take_protocol(out);
    case OPT_ALLOW_REMOTE:
        out->allow_remote = true;
        return 0;
    case OPT_TOKENS:
        out->tokens = optarg;
        return 0;
    case OPT_CONGESTION:
        out->congestion = optarg;
        return 0;
    case OPT_TEMPLATE:
        out->product = optarg;
        return 0;
    case OPT_JSON:
        out->json = optarg;
        return 0;
    case OPT_LEDGER:
        out->ledger = optarg;
        return 0;
    case OPT_TOLD:
        out->told = optarg;
        return 0;
    case OPT_QUIET:
        out->quiet = true;
        return 0;
    case OPT_DEVICES:
        return take_count(name, 1, 10000000, &out->devices);
    case OPT_HEARTBEAT:
        return take_count(name, 1, 3600, &out->heartbeat_s);
    case OPT_GIVE_UP:
        return take_count(name, 1, 600, &out->give_up_s);
    case OPT_BACK_OFF:
        return take_count(name, 1, 600, &out->back_off_s);
    case OPT_PING_EVERY:
        return take_count(name, 0, 60000, &out->ping_every);
    case OPT_PIN:
        return take_count(name, 0, PIN_MAX, &out->pin);
    case OPT_PINS:
        return take_count(name, 1, PIN_MAX + 1, &out->pins);
    case OPT_VALUE_BYTES:
        return take_count(name, 8, SWARM_VALUE_BYTES_MAX, &out->value_bytes);
    case OPT_THREADS:
        return take_count(name, 1, 1024, &out->threads);
    case OPT_SOURCES:
        return take_count(name, 1, 65536, &out->sources);
    case OPT_GATHER_US:
        return take_count(name, 0, 1000000, &out->gather_us);
    case OPT_AT_ONCE:
        return take_number(name, 0, 1e6, &out->at_once);
    case OPT_RAMP:
        return take_number(name, 0.1, 1e6, &out->ramp);
    case OPT_RATE:
        return take_number(name, 0, 1e8, &out->rate);
    case OPT_SECONDS:
        return take_number(name, 0, 1e7, &out->seconds);
    case OPT_GATEWAY_PID:
        err = take_count(name, 1, 1u << 22, &pid);
        out->gateway_pid = (pid_t)pid;
        return err;
    case OPT_EMPTY_RSS:
        err = take_number(name, 0, 1e15, &bytes);
        out->empty_rss_bytes = (uint64_t)bytes;
        return err;
    case OPT_PLANNED:
        err = take_number(name, 0, 1e9, &bytes);
        out->planned_bytes = (uint64_t)bytes;
        return err;
    case OPT_RESTART:
        out->restart = optarg;
        return 0;
    case OPT_RESUME:
        return take_count(name, 0, 100, &out->resume);
    case OPT_COMMIT:
        out->commit = optarg;
        return 0;
    case OPT_INTERVAL:
        return take_number(name, 0.1, 1e6, &out->interval_s);
    case OPT_CHURN:
        return take_number(name, 0, 1e5, &out->churn);
    case OPT_REVOKE:
        return take_count(name, 1, 1000000, &out->revoke);
    case OPT_INDEX:
        out->index = optarg;
        return 0;
    case OPT_SETTLED:
        return take_count(name, 1, 1000000, &out->settled);
    case OPT_TIMES:
        return take_number(name, 0.1, 100, &out->times);
    case OPT_DROP:
        out->drop = true;
        return 0;
    case OPT_HELP:
        swarm_usage(false);
        return HELP_GIVEN;
    default:
        return EXIT_USAGE; /* getopt has said why */
    }
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;

        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    }
    return address->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

static int find_host(struct swarm_options *out)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int err = getaddrinfo(out->host, out->port, &hints, &found);

    if (err != 0) {
        fprintf(stderr, "tollgate-bench: %s port %s: %s\n", out->host, out->port,
                gai_strerror(err));
        return EXIT_UNAVAILABLE;
    }
    memcpy(&out->address, found->ai_addr, found->ai_addrlen);
    out->address_bytes = found->ai_addrlen;
    err = is_loopback(found->ai_addr) ? 0 : EXIT_USAGE;
    freeaddrinfo(found);
    if (err == 0 || out->allow_remote)
        return 0;
    fprintf(stderr,
            "tollgate-bench: %s is not this machine. A swarm is an attack on a gateway that does "
            "not expect it: with its owner's consent, say --allow-remote\n",
            out->host);
    return err;
}

static bool comes_back(const struct swarm_options *options)
{
    return swarm_comes_and_goes(options) || options->mode == SWARM_MIXED ||
           options->mode == SWARM_REVOKE ||
           (options->mode == SWARM_STORM && swarm_has_ramp(options));
}

static int check(const struct swarm_options *options)
{
    bool is_mqtt = options->dialect == &swarm_dialect_mqtt;
    const char *why = NULL;

    if (options->tokens == NULL)
        why = "--tokens FILE is needed: the devices' tokens, one a line";
    else if (options->tls && options->ca == NULL && !options->insecure)
        why = "with TLS, --ca FILE is needed (or --insecure to accept any certificate)";
    else if (options->product != NULL && strlen(options->product) > 32)
        why = "--template: a product id has at most 32 characters";
    else if (options->mode == SWARM_PUBLISH && options->rate == 0)
        why = "--rate 0: to publish nothing, use `hold`";
    else if (options->mode != SWARM_MIXED && (options->interval_s >= 0 || options->churn >= 0))
        why = "--interval and --churn belong to `mixed`";
    else if (options->mode == SWARM_MIXED && options->rate != 0)
        why = "--rate: `mixed` has an --interval for each device";
    else if (options->mode != SWARM_STORM && (options->drop || options->restart != NULL))
        why = "--drop and --restart belong to `storm`";
    else if (options->drop && options->restart != NULL)
        why = "--drop or --restart: one cause is enough for a storm";
    else if ((options->revoke != 0 || options->index != NULL) && options->mode != SWARM_REVOKE)
        why = "--revoke and --index belong to `revoke`";
    else if (options->mode == SWARM_REVOKE && options->index == NULL)
        why = "--index DIR is needed: where the tokens are taken away";
    else if ((options->settled != 0 || options->times != 0) && options->mode != SWARM_OVERLOAD)
        why = "--settled and --times belong to `overload`";
    else if ((options->mode == SWARM_REVOKE || options->mode == SWARM_OVERLOAD) &&
             (options->dialect != &swarm_dialect_device || options->seconds == 0))
        why = "this scenario is of a gateway, and wants --seconds";
    else if (options->resume > 0 && !options->tls)
        why = "--resume: without TLS there is no session to come back with";
    else if (options->resume > 0 && !comes_back(options))
        why = "--resume: the devices of this scenario come but once (storm: --drop or --restart)";
    else if (options->value_bytes != 0 && options->value_bytes < SWARM_STAMPED_BYTES_MAX &&
             options->ledger != NULL)
        why = "--ledger needs values with stamps, of 48 bytes and more";
    else if (options->pin + options->pins > PIN_MAX + 1)
        why = "--pins: there is no pin above 255";
    else if (options->dialect->put_update == NULL &&
             (options->mode == SWARM_PUBLISH || options->mode == SWARM_MIXED))
        why = "--protocol http publishes nothing: it is for `hold`, `login` and `storm`";
    else if (is_mqtt && options->value_bytes > MQTT_VALUE_BYTES_MAX)
        why =
            "--protocol mqtt has values of at most 64 bytes: its packets are of the shortest kind";
    else if (is_mqtt && (options->ledger != NULL || options->product != NULL))
        why = "--ledger and --template belong to a gateway, not to --protocol mqtt";
    if (why == NULL)
        return 0;
    fprintf(stderr, "tollgate-bench: %s\n", why);
    return EXIT_USAGE;
}

int swarm_options_parse(int argc, char **argv, struct swarm_options *out)
{
    int option, place = 0, err = 0;

    *out = (struct swarm_options){
        .host = "127.0.0.1",
        .tls = true,
        .tls_version_min = 0x0303,
        .tls_version_max = 0x0304,
        .dialect = &swarm_dialect_device,
        .pin = 1,
        .pins = 1,
        .ping_every = 10,
        .interval_s = -1,
        .churn = -1,
        .heartbeat_s = 40,
        .give_up_s = 6,
        .back_off_s = 5,
        .ramp = 500,
        .at_once = -1,
    };
    if (strcmp(argv[0], "hold") == 0) {
        out->mode = SWARM_HOLD;
    } else if (strcmp(argv[0], "publish") == 0) {
        out->mode = SWARM_PUBLISH;
        out->rate = 100;
    } else if (strcmp(argv[0], "storm") == 0) {
        out->mode = SWARM_STORM;
        out->seconds = 120;
    } else if (strcmp(argv[0], "mixed") == 0) {
        out->mode = SWARM_MIXED;
        out->ping_every = 0;
    } else if (strcmp(argv[0], "revoke") == 0) {
        out->mode = SWARM_REVOKE;
        out->revoke = 1000;
        out->seconds = 15;
    } else if (strcmp(argv[0], "overload") == 0) {
        out->mode = SWARM_OVERLOAD;
        out->times = 3;
        out->heartbeat_s = 1;
        out->seconds = 60;
    } else {
        out->mode = SWARM_LOGIN;
    }
    while (err == 0 && (option = getopt_long(argc, argv, "", long_options, &place)) != -1)
        err = take_option(option, option == '?' ? "" : long_options[place].name, out);
    if (err == 0 && optind < argc) {
        fprintf(stderr, "tollgate-bench: what is \"%s\"? See tollgate-bench --help\n",
                argv[optind]);
        err = EXIT_USAGE;
    }
    if (err == 0)
        err = check(out);
    if (out->port == NULL)
        out->port = out->tls ? "9443" : "8080";
    return err == 0 ? find_host(out) : err;
}
