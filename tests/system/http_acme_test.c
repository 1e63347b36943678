/*
 * The files of ACME's challenges: what lies in the folder is served on the plain port, and nothing
 * else is, whatever the name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "group.h"
#include "http_client.h"

#define AT       "/.well-known/acme-challenge/"
#define TOKEN    "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
#define CONTENT  TOKEN ".nP1qzpXGymHBrUEepNY9HCsQk7K8KhOypzEt62jcerQ"
#define ONE_BYTE "0"
#define NAME_128                                                                                   \
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"                             \
    "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCD-_"

static struct sys_gateway gateway;
static struct sys_device device; /* whose token nobody asks for */
static char *folder;
static char *kilobyte; /* what a file may have, and no more */

static void put_file(const char *name, const char *content)
{
    char *path = sys_text("%s/%s", folder, name);

    assert_true(sys_file_write(path, content));
    free(path);
}

static void make_folder(void)
{
    char *outside = sys_text("%s/outside", gateway.dir), *path, *longer;

    folder = sys_text("%s/acme", gateway.dir);
    kilobyte = sys_text("%01024d", 7);
    assert_int_equal(mkdir(folder, 0755), 0);
    assert_true(sys_file_write(outside, "secret"));
    put_file(TOKEN, CONTENT);
    put_file(NAME_128, ONE_BYTE);
    put_file(NAME_128 "x", ONE_BYTE);
    put_file("empty", "");
    put_file("kilobyte", kilobyte);
    longer = sys_text("%s8", kilobyte);
    put_file("longer", longer);
    put_file("a.b", "a name with a dot");
    put_file("a b", "a name with a blank");
    path = sys_text("%s/link", folder);
    assert_int_equal(symlink(outside, path), 0);
    free(path);
    path = sys_text("%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0644), 0);
    free(path);
    path = sys_text("%s/directory", folder);
    assert_int_equal(mkdir(path, 0755), 0);
    free(path);
    free(longer);
    free(outside);
}

static void a_challenge_is_answered_on_the_plain_port_alone(void **state)
{
    struct http_answer answer;
    struct sys_client c;

    (void)state;
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
    http_must(&gateway, &c, &device, "GET " AT TOKEN END, 200, CONTENT);
    http_must(&gateway, &c, &device, "GET " AT TOKEN "?any=query" END, 200, CONTENT);
    http_must(&gateway, &c, &device, "GET " AT NAME_128 END, 200, ONE_BYTE);
    http_must(&gateway, &c, &device, "GET " AT "kilobyte" END, 200, kilobyte);
    http_ask(&gateway, &c, &device, "HEAD " AT TOKEN END, &answer);
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.head, "\r\ncontent-length: 87\r\n"));
    assert_non_null(strstr(answer.head, "\r\ncontent-type: application/octet-stream\r\n"));
    http_ask(&gateway, &c, &device, "POST " AT TOKEN END, &answer);
    assert_int_equal(answer.status, 405);
    assert_non_null(strstr(answer.head, "\r\nallow: GET, HEAD\r\n"));
    put_file("later", "written while the gateway runs");
    http_must(&gateway, &c, &device, "GET " AT "later" END, 200, "written while the gateway runs");
    sys_client_close(&c);
    for (int t = SYS_TLS12; t < SYS_TRANSPORTS; t++) {
        sys_must(&gateway, &c, sys_connect(&gateway, &c, (enum sys_transport)t));
        http_must(&gateway, &c, &device, "GET " AT TOKEN END, 404, NOTHING_THERE);
        sys_client_close(&c);
    }
}

static void what_is_no_small_file_of_the_folder_is_not_there(void **state)
{
    static const char *const names[] = {
        "missing",
        "",
        ".",
        "..",
        "../outside",
        "%2e%2e%2foutside",
        "..%2foutside",
        "../acme/" TOKEN,
        "a.b",
        "a%20b",
        TOKEN "%00",
        TOKEN "/",
        "/" TOKEN,
        "%65vaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA", /* an escape is a character of no name */
        NAME_128 "x",
        "empty",
        "longer",
        "link",
        "pipe",
        "directory",
    };
    struct sys_client c;

    (void)state;
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
    for (size_t i = 0; i < GW_ARRAY_COUNT(names); i++) {
        char *request = sys_text("GET " AT "%s" END, names[i]);

        http_must(&gateway, &c, &device, request, 404, NOTHING_THERE);
        free(request);
    }
    http_must(&gateway, &c, &device, "GET " AT TOKEN END, 200, CONTENT);
    sys_client_close(&c);
}

/* One that waits for nothing does not overtake an update that waits for the disk. */
static void a_challenge_waits_for_its_turn(void **state)
{
    struct sys_client c;

    (void)state;
    sys_must(&gateway, &c, sys_connect(&gateway, &c, SYS_PLAIN));
    http_send(&gateway, &c, &device,
              "GET /external/api/update?token={T}&v1=1" END "GET " AT TOKEN END
              "GET /external/api/get?token={T}&v1" END);
    http_expect(&gateway, &c, 200, "");
    http_expect(&gateway, &c, 200, CONTENT);
    http_expect(&gateway, &c, 200, "1");
    sys_client_close(&c);
}

static void free_names(void)
{
    free(folder);
    free(kilobyte);
}

int main(void)
{
    static const struct sys_group group = {
        .name = "http acme",
        .gateway = &gateway,
        .options = {.shards = 2, .config = "http: { acme_folder = \"acme\"; };\n"},
        .devices = &device,
        .device_count = 1,
        .prepare = make_folder,
        .finish = free_names,
    };
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_challenge_is_answered_on_the_plain_port_alone),
        cmocka_unit_test(what_is_no_small_file_of_the_folder_is_not_there),
        cmocka_unit_test(a_challenge_waits_for_its_turn),
    };

    return SYS_GROUP_RUN(&group, tests);
}
