/*
 * The nth failure where small files are read and written: time zones, the configuration, ticket
 * keys. What is read is all there or an error is, and a file is the old one or the new one.
 */
#include "room.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gw/app/config.h>
#include <gw/crypto/crypto.h>
#include <gw/tls/ticket.h>
#include <gw/zone/zone.h>

static const struct room_failure failures[] = {
    {"no memory", NTHFAIL_MEMORY, ENOMEM, 1},
    {"no memory any more", NTHFAIL_MEMORY, ENOMEM, NTHFAIL_FOR_EVER},
    {"I/O error", NTHFAIL_FILE, EIO, 1},
    {"I/O errors", NTHFAIL_FILE, EIO, NTHFAIL_FOR_EVER},
    {"disk full", NTHFAIL_FILE, ENOSPC, 1},
    {"interrupted", NTHFAIL_FILE, EINTR, 1},
};

static char folder[64], path[96];

static void make_folder(const char *name)
{
    (void)snprintf(folder, sizeof folder, "/tmp/gw_files_nth.XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
}

/* Nothing is left beside the file. */
static void remove_folder(void)
{
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* ---- time zones ---- */

static uint32_t zones_there;

static void prepare_nothing(void)
{
}

static void read_zones(void)
{
    struct gw_zones *zones = NULL;
    uint32_t skipped = 0;
    int err = gw_zones_load(FEW_ZONES, &zones, &skipped);

    room_check((err == 0) == (zones != NULL));
    room_check(err == 0 || room_has_failed());
    if (err != 0)
        return;
    room_check(gw_zones_count(zones) + skipped == zones_there);
    room_check(skipped == 0 || room_has_failed());
    gw_zones_destroy(zones);
}

static void zones_are_read_or_counted_as_missing(void **state)
{
    static const struct room_scene scene = {
        "time zones", prepare_nothing, read_zones, read_zones, failures, GW_ARRAY_COUNT(failures)};
    struct gw_zones *zones;
    uint32_t skipped;

    (void)state;
    assert_int_equal(gw_zones_load(FEW_ZONES, &zones, &skipped), 0);
    zones_there = gw_zones_count(zones);
    gw_zones_destroy(zones);
    room_play(&scene);
}

/* ---- the configuration ---- */

static void prepare_configuration(void)
{
    FILE *file;

    make_folder("tollgate.conf");
    file = fopen(path, "we");
    assert_non_null(file);
    (void)fputs("listeners = ({ address = \"127.0.0.1:8080\"; tls = false; });\n"
                "index = { path = \"index\"; };\n"
                "journal = { path = \"/var/lib/journal\"; };\n"
                "admin = { listen = \"127.0.0.1:9480\"; };\n",
                file);
    assert_int_equal(fclose(file), 0);
}

static void load_configuration(void)
{
    static struct gw_config_errors errors;
    static struct gw_config config;
    int err = gw_config_load(path, &config, &errors);

    room_check(err == 0 ? errors.count == 0 : errors.count > 0 && room_has_failed());
    if (err != 0)
        return;
    room_check(strncmp(config.index_path, folder, strlen(folder)) == 0);
    room_check(strcmp(config.journal_path, "/var/lib/journal") == 0);
    room_check(strcmp(config.admin_listen, "127.0.0.1:9480") == 0);
    gw_config_free(&config);
}

static void check_configuration(void)
{
    load_configuration();
    remove_folder();
}

static void a_configuration_is_whole_or_refused(void **state)
{
    static const struct room_scene scene = {"a configuration",  prepare_configuration,
                                            load_configuration, check_configuration,
                                            failures,           GW_ARRAY_COUNT(failures)};

    (void)state;
    room_play(&scene);
}

/* ---- ticket keys ---- */

enum { BEGIN_S = 1000000 };

static struct {
    struct gw_ticket_ring before, rotated;
    bool has_rotated;
} tickets;

static void prepare_tickets(void)
{
    char why[256];

    memset(&tickets, 0, sizeof tickets);
    make_folder("ticket-keys");
    assert_int_equal(gw_ticket_file_create(path, BEGIN_S, why, sizeof why), 0);
    assert_int_equal(gw_ticket_file_load(path, &tickets.before, why, sizeof why), 0);
}

static void play_tickets(void)
{
    struct gw_ticket_ring ring;
    char why[256] = "";
    int err = gw_ticket_file_load(path, &ring, why, sizeof why);

    room_check(err == 0 ? memcmp(&ring, &tickets.before, sizeof ring) == 0
                        : room_has_failed() && strncmp(why, path, strlen(path)) == 0);
    err = gw_ticket_file_rotate(path, BEGIN_S + GW_TICKET_ROTATE_S, false, &tickets.has_rotated,
                                &tickets.rotated, why, sizeof why);
    room_check((err == 0) == tickets.has_rotated);
    room_check(err == 0 || (room_has_failed() && strncmp(why, path, strlen(path)) == 0));
    room_check(gw_ticket_file_create(path, BEGIN_S, why, sizeof why) != 0); /* it is there */
}

static void check_tickets(void)
{
    char why[256], temporary[128];
    struct gw_ticket_ring ring;

    room_check(gw_ticket_file_load(path, &ring, why, sizeof why) == 0);
    if (tickets.has_rotated)
        room_check(memcmp(&ring, &tickets.rotated, sizeof ring) == 0);
    else /* or it was put in its place, and only the folder could not be synced */
        room_check(memcmp(&ring, &tickets.before, sizeof ring) == 0 ||
                   memcmp(&ring.keys[GW_TICKET_PREVIOUS], &tickets.before.keys[GW_TICKET_CURRENT],
                          sizeof ring.keys[0]) == 0);
    (void)snprintf(temporary, sizeof temporary, "%s.new", path);
    (void)unlink(temporary); /* where it could not be removed; the next run does */
    remove_folder();
}

static void ticket_keys_are_the_old_ones_or_the_new_ones(void **state)
{
    static const struct room_scene scene = {"ticket keys", prepare_tickets,
                                            play_tickets,  check_tickets,
                                            failures,      GW_ARRAY_COUNT(failures)};

    (void)state;
    room_play(&scene);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(zones_are_read_or_counted_as_missing),
        cmocka_unit_test(a_configuration_is_whole_or_refused),
        cmocka_unit_test(ticket_keys_are_the_old_ones_or_the_new_ones),
    };

    return cmocka_run_group_tests_name("nthfail files", tests, NULL, NULL);
}
