/*
 * Readers on several threads while another process rotates one device's token again and again.
 * The writer tells through shared memory which token is current, before and after each commit, so
 * that a reader knows which answers it may see.
 */
#include "fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { READERS = 3, ROTATIONS = 150, FIRST = 1000 };

/* Token FIRST + n is the n-th. `started` rotations were begun, `finished` are committed. */
struct shared {
    _Atomic uint32_t started, finished;
    atomic_bool go;
};

struct watch {
    struct shared *shared;
    struct gw_index *index;
    uint64_t logins, unavailable;
    int failures;
};

static void rotating_child(const struct fixture *f, struct shared *shared)
{
    struct gw_index_writer *writer;
    const char *why;

    if (gw_index_writer_open(f->path, NULL, &writer, &why) != 0)
        _exit(2);
    while (!atomic_load(&shared->go))
        (void)usleep(1000);
    for (uint32_t n = 1; n <= ROTATIONS; n++) {
        uint8_t token[GW_TOKEN_BYTES];

        memcpy(token, token_of(FIRST + n), sizeof token);
        atomic_store(&shared->started, n);
        if (gw_index_begin(writer) != 0 || gw_index_token_rotate(writer, f->device, token) != 0 ||
            gw_index_commit(writer) != 0)
            _exit(3);
        atomic_store(&shared->finished, n);
    }
    gw_index_writer_close(writer);
    _exit(0);
}

static void token_into(uint8_t out[GW_TOKEN_BYTES], uint32_t n)
{
    memset(out, 0x5a, GW_TOKEN_BYTES);
    gw_store_le32(out + 8, n);
}

/* One login with a token that was current a moment ago: what may it be answered? */
static void ask(struct watch *watch, struct gw_index_reader *reader)
{
    const uint32_t before = atomic_load(&watch->shared->finished);
    uint8_t token[GW_TOKEN_BYTES];
    struct gw_grant grant;
    enum gw_login answer;
    uint32_t after;

    token_into(token, FIRST + before);
    answer = gw_index_login(reader, token, true, 1000, &grant);
    after = atomic_load(&watch->shared->started);
    watch->logins++;
    watch->unavailable += answer == GW_LOGIN_UNAVAILABLE;
    if (answer == GW_LOGIN_GRANTED)
        watch->failures += grant.generation != before + 2; /* FIRST's is 2 */
    else if (answer == GW_LOGIN_UNKNOWN)
        watch->failures += after == before; /* nobody had begun to take it away */
    /* The other one stands in every commit: it must always be let in. */
    token_into(token, 1);
    watch->failures += gw_index_login(reader, token, true, 1000, &grant) != GW_LOGIN_GRANTED;
    gw_index_reader_pause(reader);
}

static void *watch_thread(void *context)
{
    struct watch *watch = context;
    struct gw_index_reader *reader;

    if (gw_index_reader_open(watch->index, &reader) != 0) {
        watch->failures++;
        return NULL;
    }
    while (atomic_load(&watch->shared->finished) < ROTATIONS && watch->failures == 0)
        ask(watch, reader);
    ask(watch, reader);
    gw_index_reader_close(reader);
    return NULL;
}

static void readers_see_whole_commits_while_a_writer_rotates(void **state)
{
    struct fixture *f = *state;
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct watch watches[READERS] = {{.shared = NULL}};
    pthread_t threads[READERS];
    struct gw_index_writer *writer;
    struct reading r;
    int status;
    pid_t child;

    assert_ptr_not_equal(shared, MAP_FAILED);
    writer = writer_begin(f);
    assert_int_equal(gw_index_token_rotate(writer, f->device, token_of(FIRST)), 0);
    (void)add_device(writer, f->product, token_of(1));
    writer_commit(writer);
    child = fork(); /* before any thread exists */
    assert_true(child >= 0);
    if (child == 0)
        rotating_child(f, shared);
    r = reading_begin(f, true);
    for (size_t i = 0; i < READERS; i++) {
        watches[i] = (struct watch){.shared = shared, .index = r.index};
        assert_int_equal(pthread_create(&threads[i], NULL, watch_thread, &watches[i]), 0);
    }
    atomic_store(&shared->go, true);
    /* The control thread's part goes on beside them: what was served is remembered. */
    while (atomic_load(&shared->finished) < ROTATIONS) {
        assert_int_equal(gw_index_high_water_save(r.reader), 0);
        assert_false(gw_index_replaced(r.index));
    }
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(watches[i].failures, 0);
        assert_true(watches[i].logins > 0);
        assert_int_equal(watches[i].unavailable, 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    reading_end(&r);
    (void)munmap(shared, sizeof *shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(readers_see_whole_commits_while_a_writer_rotates,
                                        fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
