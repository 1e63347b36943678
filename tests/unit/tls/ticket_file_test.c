/*
 * The file of a ticket ring: what is written comes back, and whatever is not whole is refused.
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

#include <gw/tls/ticket.h>

static char folder[] = "/tmp/ticket_file_test.XXXXXX";
static char path[64], temporary[72];

static char *file_text(void)
{
    static char text[2 * GW_TICKET_FILE_BYTES_MAX];
    FILE *file = fopen(path, "re");
    size_t bytes;

    assert_non_null(file);
    bytes = fread(text, 1, sizeof text - 1, file);
    text[bytes] = '\0';
    assert_int_equal(fclose(file), 0);
    return text;
}

static void write_ring(const char *text, size_t bytes)
{
    FILE *file;

    unlink(path);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static void assert_wiped(const struct gw_ticket_ring *ring)
{
    static const struct gw_ticket_ring nothing;

    assert_memory_equal(ring, &nothing, sizeof nothing);
}

static void assert_refused(int err, const char *words)
{
    struct gw_ticket_ring ring;
    char why[256] = "";

    memset(&ring, 0xa5, sizeof ring);
    assert_int_equal(gw_ticket_file_load(path, &ring, why, sizeof why), err);
    if (strncmp(why, path, strlen(path)) != 0 || strstr(why, words) == NULL)
        fail_msg("'%s' has no '%s'", why, words);
    assert_wiped(&ring);
}

static void a_file_comes_back_as_it_was_written(void **state)
{
    struct gw_ticket_ring first, second;
    char why[256];
    struct stat status;
    bool rotated = false;

    (void)state;
    unlink(path);
    assert_int_equal(gw_ticket_file_create(path, 1000000, why, sizeof why), 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(gw_ticket_file_load(path, &first, why, sizeof why), 0);
    assert_int_equal(first.keys[GW_TICKET_CURRENT].since_s, 1000000);
    assert_int_equal(gw_ticket_file_create(path, 2000000, why, sizeof why), -EEXIST);
    assert_int_equal(gw_ticket_file_load(path, &second, why, sizeof why), 0);
    assert_memory_equal(&first, &second, sizeof first);

    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(
        gw_ticket_file_rotate(path, 1000001, false, &rotated, &second, why, sizeof why), 0);
    assert_false(rotated);
    assert_memory_equal(&first, &second, sizeof first);
    assert_int_equal(gw_ticket_file_rotate(path, 1000000 + GW_TICKET_ROTATE_S, false, &rotated,
                                           &second, why, sizeof why),
                     0);
    assert_true(rotated);
    assert_memory_equal(&second.keys[GW_TICKET_PREVIOUS], &first.keys[GW_TICKET_CURRENT],
                        sizeof first.keys[0]);
    assert_int_equal(gw_ticket_file_load(path, &first, why, sizeof why), 0);
    assert_memory_equal(&first, &second, sizeof first);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0400); /* kept */
    assert_int_equal(gw_ticket_file_rotate(path, 500, true, &rotated, &second, why, sizeof why), 0);
    assert_true(rotated); /* by a clock that was set back, and it still loads */
    assert_int_equal(gw_ticket_file_load(path, &first, why, sizeof why), 0);
    assert_int_equal(access(temporary, F_OK), -1);
}

static void a_file_that_others_may_touch_is_refused(void **state)
{
    static const mode_t modes[] = {0640, 0604, 0444, 0620, 0700, 0610};
    char why[256];

    (void)state;
    unlink(path);
    assert_int_equal(gw_ticket_file_create(path, 1, why, sizeof why), 0);
    for (size_t i = 0; i < GW_ARRAY_COUNT(modes); i++) {
        struct gw_ticket_ring ring;
        bool rotated;

        assert_int_equal(chmod(path, modes[i]), 0);
        assert_refused(-EPERM, "chmod 600");
        assert_int_equal(gw_ticket_file_rotate(path, 1, true, &rotated, &ring, why, sizeof why),
                         -EPERM);
        assert_false(rotated);
        assert_wiped(&ring);
    }
}

/* Every prefix, every byte altered: refused whole, or a ring with another key in it. */
static void a_damaged_file_is_refused_at_every_byte(void **state)
{
    char good[2 * GW_TICKET_FILE_BYTES_MAX], bad[sizeof good];
    char why[256];
    size_t bytes;

    (void)state;
    unlink(path);
    assert_int_equal(gw_ticket_file_create(path, 1000000, why, sizeof why), 0);
    (void)snprintf(good, sizeof good, "%s", file_text());
    bytes = strlen(good);
    for (size_t cut = 0; cut < bytes; cut++) {
        write_ring(good, cut);
        assert_refused(-EBADMSG, "line");
    }
    for (size_t at = 0; at < bytes; at++) {
        memcpy(bad, good, bytes);
        bad[at] = '#';
        write_ring(bad, bytes);
        assert_refused(-EBADMSG, "line");
        bad[at] = '\0';
        write_ring(bad, bytes);
        assert_refused(-EBADMSG, "line");
    }
}

static void a_file_with_wrong_contents_is_refused_in_words(void **state)
{
    char good[2 * GW_TICKET_FILE_BYTES_MAX], text[sizeof good + 1], why[256];
    char *line[4];
    const size_t name_at = strlen("current 1000000 ");

    (void)state;
    unlink(path);
    assert_refused(-ENOENT, "tollgatectl ticket-keys init");
    assert_int_equal(mkdir(path, 0600), 0);
    assert_refused(-EBADMSG, "not a file");
    assert_int_equal(rmdir(path), 0);

    assert_int_equal(gw_ticket_file_create(path, 1000000, why, sizeof why), 0);
    (void)snprintf(good, sizeof good, "%s", file_text());
    memset(text, 'x', sizeof text);
    write_ring(text, sizeof text);
    assert_refused(-EBADMSG, "more than a ring");
    (void)snprintf(text, sizeof text, "%s\n", good);
    write_ring(text, strlen(text));
    assert_refused(-EBADMSG, "follows line 4");

    (void)snprintf(text, sizeof text, "%s", good);
    line[0] = text;
    for (size_t i = 1; i < 4; i++)
        line[i] = strchr(line[i - 1], '\n') + 1;
    memcpy(strchr(line[1], '0'), "7", 1); /* next 7 */
    write_ring(text, strlen(text));
    assert_refused(-EBADMSG, "in use already");
    (void)snprintf(text, sizeof text, "%s", good);
    memcpy(line[3] + strlen("previous "), "1000001", 7);
    write_ring(text, strlen(text));
    assert_refused(-EBADMSG, "not since before the previous");
    (void)snprintf(text, sizeof text, "%s", good);
    memcpy(line[1] + strlen("next 0 "), line[2] + name_at, (size_t)2 * GW_TICKET_NAME_BYTES);
    write_ring(text, strlen(text));
    assert_refused(-EBADMSG, "same name");
    unlink(path);
}

static int setup(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/ring", folder);
    (void)snprintf(temporary, sizeof temporary, "%s.new", path);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder); /* fails where something was left behind */
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_comes_back_as_it_was_written),
        cmocka_unit_test(a_file_that_others_may_touch_is_refused),
        cmocka_unit_test(a_damaged_file_is_refused_at_every_byte),
        cmocka_unit_test(a_file_with_wrong_contents_is_refused_in_words),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
