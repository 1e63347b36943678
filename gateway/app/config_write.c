/*
 * The table for people: as a configuration file that loads again, and as the manual.
 */
#include "config_internal.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include <gw/base/assert.h>

enum { HELP_COLUMNS = 96 };

/* The help as comment lines, broken between words. */
static void write_help(FILE *out, const char *indent, const char *help)
{
    size_t room = HELP_COLUMNS - strlen(indent) - 2;

    while (*help != '\0') {
        size_t bytes = strlen(help);

        if (bytes > room) {
            bytes = room;
            while (bytes > 0 && help[bytes] != ' ')
                bytes--;
            gw_assert(bytes > 0);
        }
        fprintf(out, "%s# %.*s\n", indent, (int)bytes, help);
        help += bytes;
        help += strspn(help, " ");
    }
}

static void write_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (; text != NULL && *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < ' ' || c == 0x7f)
            fprintf(out, "\\x%02x", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

static void write_number(FILE *out, uint64_t number)
{
    /* The L is for other readers of libconfig's syntax; ours puts it in where it is missing. */
    fprintf(out, "%" PRIu64 "%s", number, number > INT32_MAX ? "L" : "");
}

static void write_features(FILE *out, const struct gw_config_features *features)
{
    fputc('[', out);
    for (uint32_t i = 0; i < features->count; i++) {
        fputs(i == 0 ? "" : ", ", out);
        write_text(out, features->names[i]);
    }
    fputc(']', out);
}

static void write_value(FILE *out, const struct gw_config *config, const struct gw_param *param)
{
    size_t words_count;
    const char *const *words = gw_param_words(param->kind, &words_count);
    const char *field = (const char *)config + param->offset;

    switch (param->kind) {
    case GW_KIND_U32:
    case GW_KIND_POW2:
    case GW_KIND_U64:
        write_number(out, gw_param_number(config, param));
        return;
    case GW_KIND_BOOL:
        fputs(gw_param_number(config, param) != 0 ? "true" : "false", out);
        return;
    case GW_KIND_TEXT:
    case GW_KIND_PATH:
    case GW_KIND_ADDRESS:
        write_text(out, *(char *const *)field);
        return;
    case GW_KIND_FEATURES:
        write_features(out, (const struct gw_config_features *)field);
        return;
    case GW_KIND_TLS_PROFILE:
    case GW_KIND_LOCKOUT:
    case GW_KIND_LOG_FORMAT:
    case GW_KIND_LOG_LEVEL:
        write_text(out, words[gw_param_number(config, param)]);
        return;
    }
}

/* "1 to 300 s" or "modern, compat"; nothing where the kind has no bounds. */
static void write_range(FILE *out, const struct gw_param *param)
{
    size_t count;
    const char *const *words = gw_param_words(param->kind, &count);

    switch (param->kind) {
    case GW_KIND_U32:
    case GW_KIND_POW2:
    case GW_KIND_U64:
        fprintf(out, "%" PRIu64 " to %" PRIu64 " %s", param->min, param->max, param->unit);
        return;
    case GW_KIND_BOOL:
        fputs("true, false", out);
        return;
    case GW_KIND_TEXT:
        fputs("text", out);
        return;
    case GW_KIND_PATH:
        fputs("path", out);
        return;
    case GW_KIND_ADDRESS:
        fputs("address", out);
        return;
    case GW_KIND_FEATURES:
        fputs("list of names", out);
        return;
    case GW_KIND_TLS_PROFILE:
    case GW_KIND_LOCKOUT:
    case GW_KIND_LOG_FORMAT:
    case GW_KIND_LOG_LEVEL:
        for (size_t i = 0; i < count; i++)
            fprintf(out, "%s%s", i == 0 ? "" : ", ", words[i]);
        return;
    }
}

static void write_preset(FILE *out, const struct gw_param *param)
{
    size_t count;
    const char *const *words = gw_param_words(param->kind, &count);

    if (gw_param_is_text(param))
        write_text(out, param->preset_text);
    else if (param->kind == GW_KIND_FEATURES)
        fputs("[]", out);
    else if (param->kind == GW_KIND_BOOL)
        fputs(param->preset != 0 ? "true" : "false", out);
    else if (words != NULL)
        write_text(out, words[param->preset]);
    else
        fprintf(out, "%" PRIu64, param->preset);
}

static void write_proxies(FILE *out, const struct gw_config_listener *listener)
{
    char network[GW_PREFIX_TEXT_BYTES];

    if (listener->proxy_count == 0)
        return;
    fputs(" proxy_from = [", out);
    for (uint32_t i = 0; i < listener->proxy_count; i++) {
        gw_prefix_format(&listener->proxy_from[i], network);
        fprintf(out, "%s\"%s\"", i == 0 ? "" : ", ", network);
    }
    fputs("];", out);
}

static void dump_listeners(const struct gw_config *config, FILE *out)
{
    const char *mark = config->listeners_are_default ? "# " : "";

    fputs(
        "# Where devices connect. tls is true unless switched off; port 0 lets the kernel choose.\n"
        "# Without this list: the one below, with 9443 and 8080 in place of ports that cannot be\n"
        "# bound.\n",
        out);
    fprintf(out, "%slisteners = (\n", mark);
    for (uint32_t i = 0; i < config->listener_count; i++) {
        char address[GW_ADDRESS_TEXT_BYTES];

        gw_address_format(&config->listeners[i].address, address);
        fprintf(out, "%s    { address = \"%s\"; tls = %s;", mark, address,
                config->listeners[i].tls ? "true" : "false");
        write_proxies(out, &config->listeners[i]);
        fprintf(out, " }%s\n", i + 1 < config->listener_count ? "," : "");
    }
    fprintf(out, "%s);\n", mark);
}

void gw_config_dump(const struct gw_config *config, FILE *out)
{
    char open_group[GW_PARAM_NAME_BYTES] = "";

    dump_listeners(config, out);
    for (size_t i = 0; i < GW_PARAM_COUNT; i++) {
        const struct gw_param *param = &gw_params[i];
        char group[GW_PARAM_NAME_BYTES];
        const char *indent;

        gw_param_group(param, group);
        indent = group[0] == '\0' ? "" : "    ";
        if (strcmp(group, open_group) != 0) {
            if (open_group[0] != '\0')
                fputs("};\n", out);
            if (group[0] != '\0')
                fprintf(out, "\n%s = {", group);
            memcpy(open_group, group, sizeof group);
        }
        fputc('\n', out);
        write_help(out, indent, param->help);
        fprintf(out, "%s# ", indent);
        write_range(out, param);
        fputs("; default ", out);
        write_preset(out, param);
        fprintf(out, "\n%s%s = ", indent, gw_param_leaf(param));
        write_value(out, config, param);
        fputs(";\n", out);
    }
    if (open_group[0] != '\0')
        fputs("};\n", out);
}

static const char manual_head[] =
    "# Configuration\n"
    "\n"
    "<!-- Written by `tollgate --manual` from include/gw/app/params.def; a test holds them equal. "
    "-->\n"
    "\n"
    "One file in [libconfig](https://hyperrealm.github.io/libconfig/)'s syntax, given with\n"
    "`--config FILE`. Every parameter has a default; a gateway that speaks TLS needs a "
    "certificate.\n"
    "\n"
    "```\n"
    "# The whole of a small gateway's configuration.\n"
    "listeners = (\n"
    "    { address = \"0.0.0.0:9443\"; tls = true; },\n"
    "    { address = \"0.0.0.0:8080\"; tls = false; }\n"
    ");\n"
    "tls = {\n"
    "    rsa_chain = \"rsa.pem\";    # relative to the folder of this file\n"
    "    rsa_key   = \"rsa.key\";\n"
    "    ec_chain  = \"ec.pem\";\n"
    "    ec_key    = \"ec.key\";\n"
    "};\n"
    "index   = { path = \"/var/lib/tollgate/index\"; };\n"
    "journal = { path = \"/var/lib/tollgate/journal\"; };\n"
    "```\n"
    "\n"
    "- `tollgate -t --config FILE` reports every mistake at once, each with its line, and exits "
    "with\n"
    "  78 if there is one. Names we do not know are mistakes.\n"
    "- `tollgate --dump-config --config FILE` prints every parameter with the value in force, as "
    "a\n"
    "  file that can be used in its place. Paths come out absolute.\n"
    "- A parameter written `group.name` below stands as `name` inside `group = { ... };`.\n"
    "- Names of hosts are not resolved: addresses are numbers. `@include` is not supported.\n"
    "- Certificates and ticket keys are read again when they change, or on `SIGHUP`; every other "
    "change needs\n"
    "  a restart.\n"
    "- An empty text (`\"\"`) is the same as leaving the parameter out where its default is empty, "
    "and\n"
    "  switches it off where it is not.\n"
    "\n"
    "## Listeners\n"
    "\n"
    "`listeners` is a list of groups, at most 16: `address`, an IPv4 or bracketed IPv6 address "
    "with its\n"
    "port (0: the kernel chooses), and `tls` (default true). Plain listeners serve the same "
    "protocol; a\n"
    "token whose product does not allow plain connections is refused there.\n"
    "\n"
    "`proxy_from`, a list of up to 16 networks (`[\"192.0.2.0/24\", \"2001:db8::1\"]`), names the "
    "proxies in\n"
    "front of this listener. A connection from there must begin with a PROXY header, version 1 or "
    "2, before TLS\n"
    "and everything else; its client's address is then the connection's, in logs and wherever "
    "addresses count.\n"
    "Without the header, or with a bad one, it is closed (`proxy_bad`). From any other address a "
    "header is what\n"
    "it looks like: no ClientHello, no login, no HTTP.\n"
    "\n"
    "Without the list: ports 443 (TLS) and 80 (plain) on every IPv6 and IPv4 address. Where these "
    "cannot\n"
    "be bound, 9443 and 8080 are used instead, and the log says so.\n";

void gw_config_manual(FILE *out)
{
    char last_group[GW_PARAM_NAME_BYTES] = "?"; /* no group has this name */

    fputs(manual_head, out);
    for (size_t i = 0; i < GW_PARAM_COUNT; i++) {
        const struct gw_param *param = &gw_params[i];
        char group[GW_PARAM_NAME_BYTES];

        gw_param_group(param, group);
        if (strcmp(group, last_group) != 0) {
            memcpy(last_group, group, sizeof group);
            fprintf(out, "\n## %s\n", group[0] == '\0' ? "At the top" : group);
            fputs("\n| parameter | value | default | what it does |\n| --- | --- | --- | --- |\n",
                  out);
        }
        fprintf(out, "| `%s` | ", param->name);
        write_range(out, param);
        fputs(" | `", out);
        write_preset(out, param);
        fprintf(out, "` | %s |\n", param->help);
    }
}
