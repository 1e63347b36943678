/*
 * The voice of tollgatectl: results go to stdout, everything said to a person goes to stderr.
 */
#include "ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int ctl_fail(int code, const char *format, ...)
{
    va_list arguments;

    (void)fflush(stdout);
    (void)fprintf(stderr, "tollgatectl %s: ", ctl_command_words());
    va_start(arguments, format);
    /* clang-tidy 14 does not see that va_start initializes. */
    (void)vfprintf(stderr, format, arguments); /* NOLINT(clang-analyzer-valist.Uninitialized) */
    va_end(arguments);
    (void)fputc('\n', stderr);
    return code;
}

void ctl_note(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments); /* NOLINT(clang-analyzer-valist.Uninitialized) */
    va_end(arguments);
    (void)fputc('\n', stderr);
}

int ctl_exit_of(int err)
{
    switch (-err) {
    case 0:
        return CTL_OK;
    case EACCES:
    case EPERM:
    case EROFS:
        return CTL_NO_PERMISSION;
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED:
        return CTL_UNAVAILABLE;
    case EPROTO:
    case EBADMSG:
    case EKEYREJECTED:
        return CTL_CONFIG;
    default:
        return CTL_FAILED;
    }
}

enum { WORD_BYTES_MAX = 48 };

/* Edits (insert, delete, change, swap neighbours) from `a` to `b`: three rows of the usual table.
 */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][WORD_BYTES_MAX + 1];
    const size_t a_bytes = strlen(a), b_bytes = strlen(b);

    if (a_bytes > WORD_BYTES_MAX || b_bytes > WORD_BYTES_MAX)
        return WORD_BYTES_MAX;
    for (size_t j = 0; j <= b_bytes; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_bytes; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= b_bytes; j++) {
            size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);

            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[a_bytes % 3][b_bytes];
}

const char *ctl_did_you_mean(const char *word, const char *const *names, size_t name_count)
{
    const char *nearest = NULL;
    size_t least = strlen(word) / 3 + 1;

    for (size_t i = 0; i < name_count; i++) {
        const size_t edits = distance(word, names[i]);

        if (edits <= least && (nearest == NULL || edits < least)) {
            nearest = names[i];
            least = edits;
        }
    }
    return nearest;
}
