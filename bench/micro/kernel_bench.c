/*
 * What the kernel takes for the system calls below the gateway, each by itself: sockets over
 * loopback, a file on a disk, and a system call that does nothing, to see how much is in the rest.
 *
 * "CPU" is the time that this thread worked, "Time" includes what it waited. Over loopback a sender
 * also pays for the delivery to the receiver's socket, which a network card's interrupt would.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bench.h"

enum {
    PAIRS = 64, /* a message waits in each: no two of them are taken or sent as one */
    MESSAGE_BYTES = 33,
    FILE_BLOCKS = 256,
    BLOCK_BYTES = 4096,
};

extern const struct gw_bench_case bench_kernel_cases[];

/*
 * Question: what is in every one of them, just by being a system call?
 * Expected: 100 ns: the way in and out, and the mitigations of a virtual machine's processor.
 * Found: 1.1 to 1.3 us, in a guest whose page tables its hypervisor keeps (perf shows pvm_
 * symbols): each call goes through the hypervisor. Take it off the others to see what they do
 * themselves.
 */
static void kernel_syscall(struct gw_bench *b)
{
    while (gw_bench_next(b)) {
        const long parent = syscall(SYS_getppid);

        gw_bench_keep(&parent);
    }
}

/* ---- sockets ---- */

static int pairs[PAIRS][2];

static void close_pairs(void)
{
    for (size_t i = 0; i < PAIRS; i++) {
        for (size_t end = 0; end < 2; end++) {
            if (pairs[i][end] > 0)
                (void)close(pairs[i][end]);
            pairs[i][end] = 0;
        }
    }
}

static bool open_pairs(struct gw_bench *b)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = listener >= 0 && bind(listener, (struct sockaddr *)&address, size) == 0 &&
                listen(listener, PAIRS) == 0 &&
                getsockname(listener, (struct sockaddr *)&address, &size) == 0;

    for (size_t i = 0; i < PAIRS && good; i++) {
        pairs[i][0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        good = pairs[i][0] >= 0 &&
               setsockopt(pairs[i][0], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) == 0 &&
               connect(pairs[i][0], (struct sockaddr *)&address, size) == 0 &&
               (pairs[i][1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;
    }
    if (listener >= 0)
        (void)close(listener);
    if (!good) {
        gw_bench_fail(b, "no connections over loopback");
        close_pairs();
    }
    return good;
}

static bool send_one(size_t pair)
{
    static const uint8_t message[MESSAGE_BYTES];

    return send(pairs[pair][0], message, sizeof message, MSG_NOSIGNAL) == MESSAGE_BYTES;
}

static bool receive_one(size_t pair)
{
    uint8_t room[4 * MESSAGE_BYTES];

    return recv(pairs[pair][1], room, sizeof room, MSG_DONTWAIT) == MESSAGE_BYTES;
}

/* `timed` on each pair in turn; when all had theirs, `untimed` on all while the clock stands. */
static void take_turns(struct gw_bench *b, bool untimed_first, bool (*timed)(size_t pair),
                       bool (*untimed)(size_t pair))
{
    size_t at = untimed_first ? PAIRS : 0;
    bool good = open_pairs(b);

    while (good && gw_bench_next(b)) {
        if (at == PAIRS) {
            gw_bench_pause(b);
            for (at = 0; at < PAIRS && good; at++)
                good = untimed(at);
            at = 0;
            gw_bench_resume(b);
        }
        good = good && timed(at++);
        if (!good)
            gw_bench_fail(b, "a message got lost");
    }
    close_pairs();
}

/*
 * Question: what does it cost to take an update of 33 bytes from its socket?
 * Expected: 600 ns: 100 for the system call, the socket's lock, a copy, a buffer freed.
 * Found: 3.4 to 3.9 us on a busy machine, of which the system call is 1.2.
 */
static void kernel_recv_33(struct gw_bench *b)
{
    take_turns(b, true, receive_one, send_one);
}

/*
 * Question: and to send as much?
 * Expected: 6 us: the segment goes down through TCP and IP and up again to the receiver's socket.
 * Found: 3.5 to 4.1 us: with 64 sockets in turn, nobody sleeps in recv who had to be woken.
 */
static void kernel_send_33(struct gw_bench *b)
{
    take_turns(b, false, send_one, receive_one);
}

/* ---- a file ---- */

/* A file whose blocks are on the disk, as the journal's are before it writes to them. */
static int open_file(void)
{
    static const uint8_t zeroes[BLOCK_BYTES];
    const char *top = getenv("TMPDIR");
    char path[300];
    int fd;
    bool good = true;

    (void)snprintf(path, sizeof path, "%.200s/tollgate-microbench.XXXXXX",
                   top != NULL ? top : "/var/tmp");
    fd = mkstemp(path);
    if (fd < 0)
        return -1;
    (void)unlink(path);
    for (off_t i = 0; i < FILE_BLOCKS && good; i++)
        good = pwrite(fd, zeroes, sizeof zeroes, i * BLOCK_BYTES) == BLOCK_BYTES;
    if (good && fsync(fd) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

enum write_way { TO_CACHE, THEN_FDATASYNC, WITH_DSYNC, DIRECT_WITH_DSYNC };

static bool write_block(int fd, const uint8_t *block, off_t at, enum write_way way)
{
    const struct iovec part = {.iov_base = (void *)block, .iov_len = BLOCK_BYTES};
    const int flags = way >= WITH_DSYNC ? RWF_DSYNC : 0;

    return pwritev2(fd, &part, 1, at, flags) == BLOCK_BYTES &&
           (way != THEN_FDATASYNC || fdatasync(fd) == 0);
}

static void write_blocks(struct gw_bench *b, enum write_way way)
{
    static _Alignas(BLOCK_BYTES) uint8_t block[BLOCK_BYTES];
    const int fd = open_file();
    off_t at = 0;

    if (fd < 0) {
        gw_bench_fail(b, "no file");
        return;
    }
    if (way == DIRECT_WITH_DSYNC && fcntl(fd, F_SETFL, O_DIRECT) != 0)
        gw_bench_fail(b, "no O_DIRECT on this file system");
    b->bytes_each = BLOCK_BYTES;
    while (gw_bench_next(b)) {
        block[0]++;
        if (!write_block(fd, block, at++ % FILE_BLOCKS * BLOCK_BYTES, way)) {
            gw_bench_fail(b, "a block was not written");
            break;
        }
    }
    (void)close(fd);
}

/*
 * Question: what does a batch of one page cost on its way to the page cache?
 * Expected: 1 us: a system call, a page found and marked, 4 KiB copied.
 */
static void kernel_pwrite_4k(struct gw_bench *b)
{
    write_blocks(b, TO_CACHE);
}

/*
 * Question: and to the disk?
 * Expected: 20 us of CPU, and a time of 120 to 370 us, which is the disk's.
 * Found: 100 us of CPU and 1.9 ms beside ten other processes; to be taken on a quiet machine.
 */
static void kernel_pwrite_sync_4k(struct gw_bench *b)
{
    write_blocks(b, THEN_FDATASYNC);
}

/*
 * Question: is a write that is synced by itself cheaper, or sooner done, than fdatasync behind it?
 * Expected: a system call less, the same time.
 */
static void kernel_dsync_4k(struct gw_bench *b)
{
    write_blocks(b, WITH_DSYNC);
}

/*
 * Question: and past the page cache?
 * Expected: less CPU, for no page has to be found, marked and cleaned; the time is the disk's.
 */
static void kernel_direct_dsync_4k(struct gw_bench *b)
{
    write_blocks(b, DIRECT_WITH_DSYNC);
}

const struct gw_bench_case bench_kernel_cases[] = {
    {"kernel_syscall", kernel_syscall},
    {"kernel_recv_33", kernel_recv_33},
    {"kernel_send_33", kernel_send_33},
    {"kernel_pwrite_4k", kernel_pwrite_4k},
    {"kernel_pwrite_sync_4k", kernel_pwrite_sync_4k},
    {"kernel_dsync_4k", kernel_dsync_4k},
    {"kernel_direct_dsync_4k", kernel_direct_dsync_4k},
    {0},
};
