/*
 * What is asked, and the ways that answer. The first way of a question is what the others are
 * compared with.
 */
#include "ways.h"

/* clang-format off: a way is a row. */

#define POLL         .receive = WAYS_POLL_RECV, .send = WAYS_SEND_WAITALL
#define MULTI        .receive = WAYS_RECV_MULTI, .send = WAYS_SEND_WAITALL
#define MIN(n, us)   .wait = WAYS_WAIT_MIN, .batch = (n), .wait_us = (us)
#define COUNT(n, us) .wait = WAYS_WAIT_COUNT, .batch = (n), .wait_us = (us)
#define SPIN(us)     .wait = WAYS_WAIT_SPIN, .wait_us = (us)
#define INCREMENTAL  .incremental = true, .buffer_count = 64, .buffer_bytes = 65536

static const struct ways_way wait_ways[] = {
    {"one", POLL},
    {"one, no iowait", POLL, MIN(1, 0), .no_iowait = true},
    {"one, coop taskrun", POLL, .coop = true},
    {"min 8, 50 us", POLL, MIN(8, 50)},
    {"min 8, 200 us", POLL, MIN(8, 200)},
    {"min 16, 100 us", POLL, MIN(16, 100)},
    {"min 32, 200 us", POLL, MIN(32, 200)},
    {"min 64, 500 us", POLL, MIN(64, 500)},
    {"min 64, 1000 us", POLL, MIN(64, 1000)},
    {"min 32, 200 us, merged", POLL, MIN(32, 200), .merge = true},
    {"count 32, 200 us", POLL, COUNT(32, 200)},
    {"count 64, 500 us", POLL, COUNT(64, 500)},
    {"spin 20 us", POLL, SPIN(20)},
    {"spin 100 us", POLL, SPIN(100)},
    {"sqpoll", POLL, .sqpoll = true},
    {"recv multishot, one", MULTI},
    {"recv multishot, min 32, 200 us", MULTI, MIN(32, 200)},
    {"epoll", .receive = WAYS_EPOLL},
};

static const struct ways_way echo_wait_ways[] = {
    {"one", POLL},
    {"min 8, 50 us", POLL, MIN(8, 50)},
    {"min 16, 100 us", POLL, MIN(16, 100)},
    {"min 32, 200 us", POLL, MIN(32, 200)},
    {"min 64, 500 us", POLL, MIN(64, 500)},
    {"count 32, 200 us", POLL, COUNT(32, 200)},
    {"spin 100 us", POLL, SPIN(100)},
    {"sqpoll", POLL, .sqpoll = true},
    {"epoll", .receive = WAYS_EPOLL},
};

static const struct ways_way receive_ways[] = {
    {"poll, recv", POLL},
    {"recv multishot", MULTI},
    {"recv multishot, bundles", .receive = WAYS_RECV_BUNDLE},
    {"recv multishot, incremental", MULTI, INCREMENTAL},
    {"poll, recv, incremental", POLL, INCREMENTAL},
    {"epoll, recv", .receive = WAYS_EPOLL},
};

/* The same when many messages are met at a time, so that sleeping costs next to nothing. */
static const struct ways_way batched_receive_ways[] = {
    {"poll, recv", POLL, COUNT(64, 500)},
    {"recv multishot", MULTI, COUNT(64, 500)},
    {"recv multishot, bundles", .receive = WAYS_RECV_BUNDLE, COUNT(64, 500)},
    {"recv multishot, incremental", MULTI, COUNT(64, 500), INCREMENTAL},
    {"poll, recv, incremental", POLL, COUNT(64, 500), INCREMENTAL},
};

static const struct ways_way send_ways[] = {
    {"send, MSG_WAITALL", POLL},
    {"send", .receive = WAYS_POLL_RECV, .send = WAYS_SEND},
    {"send_zc", .receive = WAYS_POLL_RECV, .send = WAYS_SEND_ZC},
    {"send, bundle", .receive = WAYS_POLL_RECV, .send = WAYS_SEND_BUNDLE},
    {"epoll, send", .receive = WAYS_EPOLL},
};

static const struct ways_way socket_ways[] = {
    {"system's default", POLL},
    {"cubic", POLL, .congestion = "cubic"},
    {"reno", POLL, .congestion = "reno"},
    {"bbr", POLL, .congestion = "bbr"},
    {"no TCP_NODELAY", POLL, .delay = true},
    {"TCP_QUICKACK after accept", POLL, .quickack = true},
    {"SO_BUSY_POLL 50 us", POLL, .busy_poll_us = 50},
    {"NAPI registered", POLL, .napi = true},
    {"SO_RCVBUF 16 KiB", POLL, .rcvbuf_bytes = 16384},
    {"SO_RCVBUF 4 KiB", POLL, .rcvbuf_bytes = 4096},
};

static const struct ways_way memory_ways[] = {
    {"accepted, nothing armed", .receive = WAYS_IDLE},
    {"poll multishot", .receive = WAYS_POLL_RECV},
    {"recv multishot", .receive = WAYS_RECV_MULTI},
    {"epoll", .receive = WAYS_EPOLL},
};

#define LOAD(n, a_second, size) .load = {.connections = (n), .rate = (a_second), .bytes = (size)}
#define ECHO(n, a_second, size)                                                                    \
    .load = {.connections = (n), .rate = (a_second), .bytes = (size), .echo = true}
#define WAYS(list) .ways = (list), .way_count = GW_ARRAY_COUNT(list)

const struct ways_question ways_questions[] = {
    /* First: what the other questions give back comes late, and would be missed here. */
    {"memory", "Kernel memory of an idle connection, 10,000 of them", LOAD(10000, 0, 64),
     .memory = true, WAYS(memory_ways)},
    {"wait-busy", "How to wait: 60,000 one-way messages/s of 64 bytes over 5,000 connections",
     LOAD(5000, 60000, 64), WAYS(wait_ways)},
    {"wait-quiet", "How to wait: 1,000 one-way messages/s of 64 bytes over 1,000 connections",
     LOAD(1000, 1000, 64), WAYS(wait_ways)},
    {"wait-echo", "How to wait: 20,000 requests and answers/s of 64 bytes over 5,000 connections",
     ECHO(5000, 20000, 64), WAYS(echo_wait_ways)},
    {"wait-echo-quiet", "How to wait: 1,000 requests and answers/s over 1,000 connections",
     ECHO(1000, 1000, 64), WAYS(echo_wait_ways)},
    {"receive-batched", "How to receive: 60,000 messages/s over 5,000 connections, met in batches",
     LOAD(5000, 60000, 64), WAYS(batched_receive_ways)},
    {"receive-60k", "How to receive: 60,000 messages/s of 64 bytes over 5,000 connections",
     LOAD(5000, 60000, 64), WAYS(receive_ways)},
    {"receive-20k", "How to receive: 20,000 messages/s of 64 bytes over 1,000 connections",
     LOAD(1000, 20000, 64), WAYS(receive_ways)},
    {"send-33", "How to send: 20,000 requests and answers/s of 33 bytes over 1,000 connections",
     ECHO(1000, 20000, 33), WAYS(send_ways)},
    {"send-1k", "How to send: 20,000 requests and answers/s of 1 KiB over 1,000 connections",
     ECHO(1000, 20000, 1024), WAYS(send_ways)},
    {"send-16k", "How to send: 5,000 requests and answers/s of 16 KiB over 1,000 connections",
     ECHO(1000, 5000, 16384), WAYS(send_ways)},
    {"socket-one-way", "Socket options: 20,000 one-way messages/s of 64 bytes, 1,000 connections",
     LOAD(1000, 20000, 64), WAYS(socket_ways)},
    {"socket-echo", "Socket options: 20,000 requests and answers/s of 64 bytes, 1,000 connections",
     ECHO(1000, 20000, 64), WAYS(socket_ways)},
};
const uint32_t ways_question_count = GW_ARRAY_COUNT(ways_questions);

/* clang-format on */
