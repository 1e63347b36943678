/*
 * A kernel that refuses io_uring, as a container's seccomp profile makes it: the operator is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <gw/io/ring.h>

/* From here on io_uring_setup fails with EPERM in this process. */
static void refuse_io_uring(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};

    assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void a_refusal_names_the_sysctl_and_seccomp(void **state)
{
    struct gw_ring_options options = {
        .sq_entries = 8, .cq_entries = 16, .files = 4, .buffers = 1, .buffer_bytes = 64};
    struct gw_ring_probe_row rows[16];
    struct gw_ring *ring;
    char why[256] = "";

    (void)state;
    refuse_io_uring();
    assert_int_equal(gw_ring_create(&options, &ring, why, sizeof why), -EPERM);
    assert_non_null(strstr(why, "kernel.io_uring_disabled"));
    assert_non_null(strstr(why, "seccomp"));
    size_t count = gw_ring_probe(0, rows, 16);

    assert_true(count > 0);
    for (size_t i = 0; i < count; i++)
        assert_false(rows[i].present);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_refusal_names_the_sysctl_and_seccomp)};

    return cmocka_run_group_tests_name("refused", tests, NULL, NULL);
}
