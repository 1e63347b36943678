/*
 * Target  gw_config_load, gw_config_text, gw_config_dump
 *
 * Input   a configuration file
 *
 * Oracle  what is refused has errors, in the order of their lines, that name the file and hold no
 *         control character; what is accepted is written by --dump-config as a file that is
 *         accepted, too, and dumps to the same text
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gw/app/config.h>
#include <gw/base/assert.h>

#include "fuzz.h"

/* libconfig 1.5 does not free the string it was reading when a file ends inside of it. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig";
}

static struct gw_config_errors errors;

/* The same file each time, with other contents. */
static int load(const char *text, size_t bytes, struct gw_config *out)
{
    static int fd = -1;
    static char path[64];

    if (fd < 0) {
        fd = memfd_create("tollgate.conf", MFD_CLOEXEC);
        gw_assert(fd >= 0);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    gw_assert(ftruncate(fd, 0) == 0);
    gw_assert(pwrite(fd, text, bytes, 0) == (ssize_t)bytes);
    return gw_config_load(path, out, &errors);
}

static char *dump(const struct gw_config *config, size_t *bytes)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, bytes);

    gw_assert(out != NULL);
    gw_config_dump(config, out);
    gw_assert(fclose(out) == 0);
    return text;
}

static void check_errors(void)
{
    gw_assert(errors.count > 0 && errors.count <= GW_CONFIG_ERRORS_MAX);
    gw_assert(errors.left_out == 0 || errors.count == GW_CONFIG_ERRORS_MAX);
    for (uint32_t i = 0; i < errors.count; i++) {
        const struct gw_config_error *row = &errors.rows[i];

        gw_assert(i == 0 || row->line >= errors.rows[i - 1].line);
        gw_assert(strncmp(row->text, "/proc/self/fd/", 14) == 0);
        for (const char *c = row->text; *c != '\0'; c++)
            gw_assert((unsigned char)*c >= ' ' && *c != 0x7f);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gw_config config;
    size_t first_bytes, second_bytes;
    char *first, *second;

    if (load((const char *)data, size, &config) != 0) {
        check_errors();
        return 0;
    }
    first = dump(&config, &first_bytes);
    gw_config_free(&config);
    gw_assert(load(first, first_bytes, &config) == 0);
    second = dump(&config, &second_bytes);
    gw_config_free(&config);
    gw_assert(first_bytes == second_bytes && memcmp(first, second, first_bytes) == 0);
    free(first);
    free(second);
    return 0;
}
