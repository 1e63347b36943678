/*
 * A whole database: what is found in it, what is passed over, and the system's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gw/zone/zone.h>

struct folder {
    char path[64];
};

static int setup(void **state)
{
    struct folder *f = calloc(1, sizeof *f);

    assert_non_null(f);
    (void)snprintf(f->path, sizeof f->path, "/tmp/gw_zone_test.XXXXXX");
    assert_non_null(mkdtemp(f->path));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct folder *f = *state;
    char command[128];

    (void)snprintf(command, sizeof command, "rm -rf '%s'", f->path);
    assert_int_equal(system(command), 0); /* NOLINT: a fixed command on our own directory */
    free(f);
    return 0;
}

static void write_file(const struct folder *f, const char *name, const void *bytes, size_t size)
{
    char path[160];
    FILE *out;

    (void)snprintf(path, sizeof path, "%s/%s", f->path, name);
    for (char *slash = strchr(path + strlen(f->path) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
        *slash = '/';
    }
    out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, size, out), size);
    assert_int_equal(fclose(out), 0);
}

/* UTC with another name. */
static void write_zone(const struct folder *f, const char *name)
{
    static const uint8_t block[54] = {'T', 'Z', 'i', 'f', '2', [39] = 1, [43] = 4};
    uint8_t bytes[2 * sizeof block + 6] = {[2 * sizeof block] = '\n', 'U', 'T', 'C', '0', '\n'};

    memcpy(bytes, block, sizeof block);
    memcpy(bytes + sizeof block, block, sizeof block);
    write_file(f, name, bytes, sizeof bytes);
}

static const struct gw_zone *find(const struct gw_zones *zones, const char *name)
{
    return gw_zones_find(zones, gw_bytes_text(name));
}

static void zones_are_found_at_every_depth_and_the_rest_is_passed_over(void **state)
{
    const struct folder *f = *state;
    struct gw_zones *zones;
    uint32_t skipped;
    char path[80];

    write_zone(f, "Zulu");
    write_zone(f, "Europe/Berlin");
    write_zone(f, "America/Argentina/Ushuaia");
    write_zone(f, "posix/Europe/Berlin");
    write_zone(f, "right/Zulu");
    write_zone(f, "posixrules");
    write_file(f, "zone.tab", "DE", 2);
    write_file(f, "Europe/Broken", "TZif2", 5);
    assert_int_equal(gw_zones_load(f->path, &zones, &skipped), 0);
    assert_int_equal(gw_zones_count(zones), 3);
    assert_int_equal(skipped, 1);
    assert_string_equal(gw_zone_name(find(zones, "America/Argentina/Ushuaia")),
                        "America/Argentina/Ushuaia");
    assert_non_null(find(zones, "Zulu"));
    assert_non_null(find(zones, "Europe/Berlin"));
    assert_null(find(zones, "Europe"));
    assert_null(find(zones, "Europe/Berli"));
    assert_null(find(zones, "Europe/Berlin2"));
    assert_null(find(zones, "posixrules"));
    assert_null(find(zones, ""));
    gw_zones_destroy(zones);

    /* The same folder with a slash behind its name. */
    (void)snprintf(path, sizeof path, "%s/", f->path);
    assert_int_equal(gw_zones_load(path, &zones, &skipped), 0);
    assert_non_null(find(zones, "Europe/Berlin"));
    gw_zones_destroy(zones);
}

static void utc_needs_no_database(void **state)
{
    const struct folder *f = *state;
    struct gw_zones *zones;
    uint32_t skipped;

    assert_ptr_equal(find(NULL, "UTC"), gw_zone_utc());
    assert_null(find(NULL, "Europe/Berlin"));
    assert_int_equal(gw_zone_at(gw_zone_utc(), 1700000000).offset_s, 0);
    assert_string_equal(gw_zone_rule(gw_zone_utc()), "UTC0");
    assert_int_equal(gw_zones_load(f->path, &zones, &skipped), -ENOENT);
    assert_int_equal(gw_zones_load("/nowhere/at/all", &zones, &skipped), -ENOENT);
    write_zone(f, "Zulu");
    assert_int_equal(gw_zones_load(f->path, &zones, &skipped), 0);
    assert_ptr_equal(find(zones, "UTC"), gw_zone_utc());
    gw_zones_destroy(zones);
}

static void the_systems_database_is_read_whole(void **state)
{
    struct gw_zones *zones;
    uint32_t skipped;

    (void)state;
    if (gw_zones_load(GW_ZONES_PATH, &zones, &skipped) != 0)
        skip();
    assert_int_equal(skipped, 0);
    assert_true(gw_zones_count(zones) > 400);
    assert_non_null(find(zones, "Europe/Berlin"));
    assert_non_null(find(zones, "America/Argentina/ComodRivadavia"));
    gw_zones_destroy(zones);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(zones_are_found_at_every_depth_and_the_rest_is_passed_over,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(utc_needs_no_database, setup, teardown),
        cmocka_unit_test(the_systems_database_is_read_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
