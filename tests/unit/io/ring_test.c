/*
 * The real ring on loopback sockets: what the rooms above rely on, seen to be so on this kernel.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gw/io/ring.h>

enum { FILES = 128, BUFFERS = 4, BUFFER_BYTES = 64, GENERATION = 5 };

struct fixture {
    struct gw_ring *ring;
    int listener_fd, listener;
    struct sockaddr_in address;
};

static struct fixture open_fixture_with(uint32_t gather, uint32_t gather_us, uint32_t disabled)
{
    struct gw_ring_options options = {.sq_entries = 16,
                                      .cq_entries = 512,
                                      .files = FILES,
                                      .buffers = BUFFERS,
                                      .buffer_bytes = BUFFER_BYTES,
                                      .gather = gather,
                                      .gather_us = gather_us,
                                      .disabled = disabled};
    struct fixture f = {
        .address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t bytes = sizeof f.address;
    char why[256];

    assert_int_equal(gw_ring_create(&options, &f.ring, why, sizeof why), 0);
    f.listener_fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(f.listener_fd >= 0);
    assert_int_equal(bind(f.listener_fd, (struct sockaddr *)&f.address, sizeof f.address), 0);
    assert_int_equal(listen(f.listener_fd, 8), 0);
    assert_int_equal(getsockname(f.listener_fd, (struct sockaddr *)&f.address, &bytes), 0);
    f.listener = gw_ring_listener_add(f.ring, f.listener_fd);
    assert_true(f.listener >= 0);
    return f;
}

static struct fixture open_fixture(void)
{
    return open_fixture_with(0, 0, 0);
}

static void close_fixture(struct fixture *f)
{
    gw_ring_destroy(f->ring);
    (void)close(f->listener_fd);
}

/* The next completion; the test fails when none comes within 5 s. */
static struct gw_completion next(struct gw_ring *ring)
{
    struct gw_completion c;

    for (int i = 0; i < 50; i++) {
        if (gw_ring_next(ring, &c))
            return c;
        assert_int_equal(gw_ring_wait(ring, 100 * GW_NS_PER_MS), 0);
    }
    fail_msg("no completion");
    return (struct gw_completion){0};
}

static struct gw_completion next_of(struct gw_ring *ring, enum gw_op_kind kind)
{
    struct gw_completion c = next(ring);

    assert_int_equal(c.kind, kind);
    return c;
}

/* A client connected to `slot`. */
static int connect_to(struct fixture *f, uint32_t slot)
{
    struct sockaddr_storage peer = {0};
    struct sockaddr_in own = {0};
    socklen_t peer_bytes, own_bytes = sizeof own;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    gw_ring_accept(f->ring, f->listener, slot, GENERATION, &peer, &peer_bytes);
    assert_int_equal(connect(fd, (struct sockaddr *)&f->address, sizeof f->address), 0);
    struct gw_completion c = next_of(f->ring, GW_OP_ACCEPT);

    assert_int_equal(c.res, 0);
    assert_int_equal(c.slot, slot);
    assert_int_equal(c.generation, GENERATION);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &own_bytes), 0);
    assert_int_equal(((struct sockaddr_in *)&peer)->sin_port, own.sin_port);
    return fd;
}

static void bytes_go_both_ways(void **state)
{
    struct fixture f = open_fixture();
    int fd = connect_to(&f, 3);
    struct gw_completion c;
    char answer[8] = "";

    (void)state;
    gw_ring_poll(f.ring, 3, GENERATION);
    assert_int_equal(write(fd, "hello", 5), 5);
    c = next_of(f.ring, GW_OP_POLL);
    assert_true(c.res > 0);
    assert_false(c.last);
    gw_ring_recv(f.ring, 3, GENERATION);
    c = next_of(f.ring, GW_OP_RECV);
    assert_int_equal(c.res, 5);
    assert_false(c.nonempty);
    assert_memory_equal(c.bytes.data, "hello", 5);
    gw_ring_buffer_release(f.ring, c.buffer);
    gw_ring_send(f.ring, 3, GENERATION, gw_bytes_of("world", 5));
    assert_int_equal(next_of(f.ring, GW_OP_SEND).res, 5);
    assert_int_equal(read(fd, answer, sizeof answer), 5);
    assert_string_equal(answer, "world");
    (void)close(fd);
    close_fixture(&f);
}

static void readiness_is_an_edge_and_nonempty_tells_the_rest(void **state)
{
    struct fixture f = open_fixture();
    int fd = connect_to(&f, 0);
    char many[BUFFER_BYTES + 10] = {0};
    struct gw_completion c;

    (void)state;
    gw_ring_poll(f.ring, 0, GENERATION);
    assert_int_equal(write(fd, many, sizeof many), sizeof many);
    (void)next_of(f.ring, GW_OP_POLL);
    gw_ring_recv(f.ring, 0, GENERATION);
    c = next_of(f.ring, GW_OP_RECV);
    assert_int_equal(c.res, BUFFER_BYTES);
    assert_true(c.nonempty);
    gw_ring_buffer_release(f.ring, c.buffer);
    /* No further event comes for what is left: whoever stops here must come back by itself. */
    assert_int_equal(gw_ring_wait(f.ring, 50 * GW_NS_PER_MS), 0);
    assert_false(gw_ring_next(f.ring, &c));
    gw_ring_recv(f.ring, 0, GENERATION);
    c = next_of(f.ring, GW_OP_RECV);
    assert_int_equal(c.res, 10);
    assert_false(c.nonempty);
    gw_ring_buffer_release(f.ring, c.buffer);
    gw_ring_recv(f.ring, 0, GENERATION);
    assert_int_equal(next_of(f.ring, GW_OP_RECV).res, -EAGAIN);
    (void)close(fd);
    close_fixture(&f);
}

static void without_buffers_recv_says_so_and_nothing_is_lost(void **state)
{
    struct fixture f = open_fixture();
    int fds[BUFFERS + 1];
    uint16_t buffers[BUFFERS];
    struct gw_ring_stat stat;
    struct gw_completion c;

    (void)state;
    for (uint32_t slot = 0; slot <= BUFFERS; slot++) {
        fds[slot] = connect_to(&f, slot);
        assert_int_equal(write(fds[slot], "x", 1), 1);
    }
    for (uint32_t slot = 0; slot < BUFFERS; slot++) {
        gw_ring_recv(f.ring, slot, GENERATION);
        c = next_of(f.ring, GW_OP_RECV);
        assert_int_equal(c.res, 1);
        buffers[slot] = c.buffer;
    }
    gw_ring_recv(f.ring, BUFFERS, GENERATION);
    assert_int_equal(next_of(f.ring, GW_OP_RECV).res, -ENOBUFS);
    gw_ring_stat(f.ring, &stat);
    assert_int_equal(stat.no_buffers, 1);
    for (uint32_t slot = 0; slot < BUFFERS; slot++)
        gw_ring_buffer_release(f.ring, buffers[slot]);
    gw_ring_recv(f.ring, BUFFERS, GENERATION);
    assert_int_equal(next_of(f.ring, GW_OP_RECV).res, 1);
    for (uint32_t slot = 0; slot <= BUFFERS; slot++)
        (void)close(fds[slot]);
    close_fixture(&f);
}

static void closing_is_a_join_and_frees_the_file(void **state)
{
    struct fixture f = open_fixture();
    int fd = connect_to(&f, 1);
    struct gw_completion c;
    char byte;

    (void)state;
    gw_ring_poll(f.ring, 1, GENERATION);
    gw_ring_cancel(f.ring, GW_OP_POLL, 1, GENERATION + 1); /* of another life: not this one */
    assert_int_equal(gw_ring_wait(f.ring, 0), 0);
    assert_false(gw_ring_next(f.ring, &c));
    gw_ring_cancel(f.ring, GW_OP_POLL, 1, GENERATION);
    c = next_of(f.ring, GW_OP_POLL);
    assert_true(c.last);
    assert_int_equal(c.res, -ECANCELED);
    gw_ring_close(f.ring, 1, GENERATION);
    assert_int_equal(next_of(f.ring, GW_OP_CLOSE).res, 0);
    assert_int_equal(read(fd, &byte, 1), 0);
    (void)close(fd);
    fd = connect_to(&f, 1); /* the same file again */
    (void)close(fd);
    close_fixture(&f);
}

static void shutdown_ends_our_side_alone(void **state)
{
    struct fixture f = open_fixture();
    int fd = connect_to(&f, 2);
    struct gw_completion c;
    char byte;

    (void)state;
    gw_ring_shutdown(f.ring, 2, GENERATION);
    assert_int_equal(next_of(f.ring, GW_OP_SHUTDOWN).res, 0);
    assert_int_equal(read(fd, &byte, 1), 0);
    assert_int_equal(write(fd, "y", 1), 1);
    (void)close(fd);
    (void)usleep(10000);
    gw_ring_recv(f.ring, 2, GENERATION);
    c = next_of(f.ring, GW_OP_RECV);
    assert_int_equal(c.res, 1);
    gw_ring_buffer_release(f.ring, c.buffer);
    gw_ring_recv(f.ring, 2, GENERATION);
    assert_int_equal(next_of(f.ring, GW_OP_RECV).res, 0);
    close_fixture(&f);
}

static void a_cancelled_accept_completes_as_cancelled(void **state)
{
    struct fixture f = open_fixture();
    struct sockaddr_storage peer;
    socklen_t peer_bytes;

    (void)state;
    gw_ring_accept(f.ring, f.listener, 4, GENERATION, &peer, &peer_bytes);
    assert_int_equal(gw_ring_wait(f.ring, 0), 0);
    gw_ring_cancel(f.ring, GW_OP_ACCEPT, 4, GENERATION);
    assert_int_equal(next_of(f.ring, GW_OP_ACCEPT).res, -ECANCELED);
    close_fixture(&f);
}

static void *wake_it(void *ring)
{
    (void)usleep(20000);
    gw_ring_wake(ring);
    return NULL;
}

static void a_wake_from_another_thread_ends_the_wait(void **state)
{
    struct fixture f = open_fixture();
    pthread_t thread;

    (void)state;
    for (int i = 0; i < 3; i++) { /* it is armed again each time */
        assert_int_equal(pthread_create(&thread, NULL, wake_it, f.ring), 0);
        (void)next_of(f.ring, GW_OP_WAKE);
        (void)pthread_join(thread, NULL);
    }
    gw_ring_wake(f.ring);
    gw_ring_wake(f.ring);
    (void)next_of(f.ring, GW_OP_WAKE);
    close_fixture(&f);
}

static void a_ring_wakes_another_with_and_without_messages(void **state)
{
    (void)state;
    for (uint32_t disabled = 0; disabled <= GW_RING_MSG_RING; disabled += GW_RING_MSG_RING) {
        struct gw_ring_options options = {.sq_entries = 8,
                                          .cq_entries = 16,
                                          .files = 1,
                                          .buffers = 1,
                                          .buffer_bytes = 64,
                                          .disabled = disabled};
        struct gw_ring *from, *to;
        char why[256];

        assert_int_equal(gw_ring_create(&options, &from, why, sizeof why), 0);
        assert_int_equal(gw_ring_create(&options, &to, why, sizeof why), 0);
        for (int i = 0; i < 3; i++) {
            gw_ring_wake_from(from, to);
            assert_int_equal(gw_ring_wait(from, 0), 0);
            (void)next_of(to, GW_OP_WAKE);
        }
        gw_ring_destroy(from);
        gw_ring_destroy(to);
    }
}

static void a_wait_ends_in_time(void **state)
{
    struct fixture f = open_fixture();
    struct gw_instant before = gw_ring_now(f.ring);
    struct gw_completion c;

    (void)state;
    assert_int_equal(gw_ring_wait(f.ring, 20 * GW_NS_PER_MS), 0);
    assert_true(gw_ns_between(before, gw_ring_now(f.ring)) >= 20 * GW_NS_PER_MS);
    assert_false(gw_ring_next(f.ring, &c));
    close_fixture(&f);
}

static uint64_t wait_took(struct gw_ring *ring, uint64_t timeout_ms)
{
    struct gw_instant before = gw_ring_now(ring);

    assert_int_equal(gw_ring_wait(ring, timeout_ms * GW_NS_PER_MS), 0);
    return gw_ns_between(before, gw_ring_now(ring)) / GW_NS_PER_MS;
}

static void *send_late(void *fd)
{
    struct timespec late = {.tv_nsec = 600 * 1000000L};

    (void)nanosleep(&late, NULL);
    return send(*(const int *)fd, "x", 1, 0) == 1 ? fd : NULL;
}

/* Busy, it takes what comes within gather_us, or `gather` events at once; idle, the first. */
static void a_busy_ring_gathers_and_an_idle_one_does_not(void **state)
{
    enum { GATHER = 2, GATHER_MS = 300, TIMER_MS = 150, LONG_MS = 5000 };

    (void)state;
    for (uint32_t disabled = 0; disabled <= GW_RING_MIN_WAIT; disabled += GW_RING_MIN_WAIT) {
        struct fixture f = open_fixture_with(GATHER, GATHER_MS * 1000, disabled);
        int fds[GATHER] = {connect_to(&f, 0), connect_to(&f, 1)};
        pthread_t late;
        void *sent;

        for (uint32_t slot = 0; slot < GATHER; slot++)
            gw_ring_poll(f.ring, slot, GENERATION);
        assert_int_equal(gw_ring_wait(f.ring, 0), 0);

        /* As many as are worth it: at once. What the last turn saw makes the ring busy. */
        for (int i = 0; i < GATHER; i++)
            assert_int_equal(send(fds[i], "x", 1, 0), 1);
        assert_true(wait_took(f.ring, LONG_MS) < GATHER_MS / 2);
        for (int i = 0; i < GATHER; i++)
            assert_int_equal(next(f.ring).kind, GW_OP_POLL);

        /* Fewer: when their time is up. */
        assert_int_equal(send(fds[0], "x", 1, 0), 1);
        assert_true(wait_took(f.ring, LONG_MS) >= GATHER_MS - 50);
        assert_int_equal(next(f.ring).kind, GW_OP_POLL);

        /* A timer that is due sooner ends that, and nothing else does. */
        assert_int_equal(send(fds[0], "x", 1, 0), 1);
        uint64_t took = wait_took(f.ring, TIMER_MS);

        assert_true(took >= TIMER_MS && took < GATHER_MS - 50);
        assert_int_equal(next(f.ring).kind, GW_OP_POLL);

        /* Idle for longer than that: the first one. */
        assert_int_equal(gw_ring_wait(f.ring, 0), 0);
        assert_int_equal(pthread_create(&late, NULL, send_late, &fds[1]), 0);
        assert_true(wait_took(f.ring, LONG_MS) < 600 + GATHER_MS / 2);
        assert_int_equal(next(f.ring).kind, GW_OP_POLL);
        assert_int_equal(pthread_join(late, &sent), 0);
        assert_ptr_equal(sent, &fds[1]);
        for (int i = 0; i < GATHER; i++)
            (void)close(fds[i]);
        close_fixture(&f);
    }
}

/* The kernel runs some 20 pieces of what it put off at each call, since 6.13. */
static void after_a_long_turn_all_that_has_come_is_taken(void **state)
{
    struct fixture f = open_fixture();
    int fds[FILES];
    struct gw_completion c;
    int came = 0;

    (void)state;
    for (uint32_t slot = 0; slot < FILES; slot++) {
        fds[slot] = connect_to(&f, slot);
        gw_ring_poll(f.ring, slot, GENERATION);
    }
    assert_int_equal(gw_ring_wait(f.ring, 0), 0);
    assert_false(gw_ring_next(f.ring, &c));
    for (size_t i = 0; i < FILES; i++)
        assert_int_equal(write(fds[i], "x", 1), 1);
    assert_int_equal(usleep(2000), 0);
    assert_int_equal(gw_ring_wait(f.ring, GW_NS_PER_S), 0);
    while (gw_ring_next(f.ring, &c))
        came += c.kind == GW_OP_POLL;
    assert_int_equal(came, FILES);
    for (size_t i = 0; i < FILES; i++)
        (void)close(fds[i]);
    close_fixture(&f);
}

static void more_operations_than_entries_are_submitted_in_turns(void **state)
{
    struct fixture f = open_fixture();
    int fd = connect_to(&f, 0);
    uint32_t seen = 0;

    (void)state;
    for (int i = 0; i < 50; i++) /* 16 entries */
        gw_ring_recv(f.ring, 0, GENERATION);
    for (; seen < 50; seen++) {
        int res = next_of(f.ring, GW_OP_RECV).res;

        /* Linux 6.1 lends a buffer to a recv that finds nothing, too: four, and there is none. */
        assert_true(res == -EAGAIN || res == -ENOBUFS);
    }
    (void)close(fd);
    close_fixture(&f);
}

/* Where the kernel lends a buffer to a recv that finds nothing, it comes back all the same. */
static void a_recv_that_finds_nothing_costs_no_buffer(void **state)
{
    struct fixture f = open_fixture();
    int fd = connect_to(&f, 0);
    struct gw_completion c;

    (void)state;
    for (int i = 0; i < 4 * BUFFERS; i++) {
        gw_ring_recv(f.ring, 0, GENERATION);
        assert_int_equal(next_of(f.ring, GW_OP_RECV).res, -EAGAIN);
    }
    assert_int_equal(write(fd, "x", 1), 1);
    gw_ring_recv(f.ring, 0, GENERATION);
    c = next_of(f.ring, GW_OP_RECV);
    assert_int_equal(c.res, 1);
    gw_ring_buffer_release(f.ring, c.buffer);
    (void)close(fd);
    close_fixture(&f);
}

static bool is_resident(const uint8_t *p)
{
    unsigned char in = 0;

    assert_int_equal(mincore((void *)((uintptr_t)p / 4096 * 4096), 1, &in), 0);
    return (in & 1) != 0;
}

static void one_receive_at_a_time_works_in_one_buffer(void **state)
{
    struct fixture f = open_fixture();
    int fds[2] = {connect_to(&f, 0), connect_to(&f, 1)};
    struct gw_completion c[2];
    const uint8_t *first;

    (void)state;
    for (uint32_t slot = 0; slot < 2; slot++) { /* two at once: */
        assert_int_equal(write(fds[slot], "x", 1), 1);
        gw_ring_recv(f.ring, slot, GENERATION);
    }
    for (uint32_t i = 0; i < 2; i++)
        c[i] = next_of(f.ring, GW_OP_RECV);
    assert_int_not_equal(c[0].buffer, c[1].buffer);
    for (uint32_t i = 0; i < 2; i++)
        gw_ring_buffer_release(f.ring, c[i].buffer);
    for (int i = 0; i < 4 * BUFFERS; i++) { /* and then the same again and again */
        assert_int_equal(write(fds[0], "x", 1), 1);
        gw_ring_recv(f.ring, 0, GENERATION);
        c[0] = next_of(f.ring, GW_OP_RECV);
        assert_int_equal(c[0].buffer, c[1].buffer);
        gw_ring_buffer_release(f.ring, c[0].buffer);
    }
    first = c[0].bytes.data;
    assert_true(is_resident(first));
    gw_ring_recv(f.ring, 0, GENERATION);
    assert_false(gw_ring_trim(f.ring)); /* it may bring something */
    assert_int_equal(next_of(f.ring, GW_OP_RECV).res, -EAGAIN);
    assert_true(is_resident(first));
    assert_true(gw_ring_trim(f.ring));
    assert_false(is_resident(first));
    assert_int_equal(write(fds[0], "y", 1), 1);
    gw_ring_recv(f.ring, 0, GENERATION);
    c[0] = next_of(f.ring, GW_OP_RECV);
    assert_memory_equal(c[0].bytes.data, "y", 1);
    gw_ring_buffer_release(f.ring, c[0].buffer);
    (void)close(fds[0]);
    (void)close(fds[1]);
    close_fixture(&f);
}

static void too_many_files_are_explained(void **state)
{
    struct gw_ring_options options = {
        .sq_entries = 8, .cq_entries = 16, .files = 1 << 21, .buffers = 1, .buffer_bytes = 64};
    struct gw_ring *ring;
    char why[256] = "";

    (void)state;
    assert_true(gw_ring_create(&options, &ring, why, sizeof why) < 0);
    assert_null(ring);
    assert_non_null(strstr(why, "files"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_both_ways),
        cmocka_unit_test(readiness_is_an_edge_and_nonempty_tells_the_rest),
        cmocka_unit_test(without_buffers_recv_says_so_and_nothing_is_lost),
        cmocka_unit_test(closing_is_a_join_and_frees_the_file),
        cmocka_unit_test(shutdown_ends_our_side_alone),
        cmocka_unit_test(a_cancelled_accept_completes_as_cancelled),
        cmocka_unit_test(a_wake_from_another_thread_ends_the_wait),
        cmocka_unit_test(a_ring_wakes_another_with_and_without_messages),
        cmocka_unit_test(a_wait_ends_in_time),
        cmocka_unit_test(a_busy_ring_gathers_and_an_idle_one_does_not),
        cmocka_unit_test(after_a_long_turn_all_that_has_come_is_taken),
        cmocka_unit_test(more_operations_than_entries_are_submitted_in_turns),
        cmocka_unit_test(a_recv_that_finds_nothing_costs_no_buffer),
        cmocka_unit_test(one_receive_at_a_time_works_in_one_buffer),
        cmocka_unit_test(too_many_files_are_explained),
    };

    return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
