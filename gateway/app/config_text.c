/*
 * The configuration's text on its way to libconfig. It knows as much of the syntax as is needed to
 * tell numbers from names, strings and comments, and leaves judging all of it to libconfig.
 */
#include "config_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct scan {
    const char *at, *end;
    char *out;
    uint32_t line;
    void (*report)(void *context, uint32_t line, const char *what);
    void *context;
};

static char peek(const struct scan *s, size_t ahead)
{
    return (size_t)(s->end - s->at) > ahead ? s->at[ahead] : '\0';
}

static void copy(struct scan *s, size_t bytes)
{
    for (; bytes > 0 && s->at < s->end; bytes--) {
        s->line += *s->at == '\n';
        *s->out++ = *s->at++;
    }
}

static void copy_line(struct scan *s)
{
    while (s->at < s->end && *s->at != '\n')
        copy(s, 1);
}

static void copy_comment(struct scan *s)
{
    copy(s, 2);
    while (s->at < s->end && !(peek(s, 0) == '*' && peek(s, 1) == '/'))
        copy(s, 1);
    copy(s, 2);
}

static void copy_string(struct scan *s)
{
    copy(s, 1);
    while (s->at < s->end && *s->at != '"')
        copy(s, *s->at == '\\' ? 2 : 1);
    copy(s, 1);
}

/* Whole numbers get the suffix they need; of floats only the way past them is known. */
static void copy_number(struct scan *s)
{
    bool hex = peek(s, 0) == '0' && (peek(s, 1) == 'x' || peek(s, 1) == 'X');
    const char *first = s->at;
    unsigned long long value;
    char *end;

    errno = 0;
    value = strtoull(first, &end, hex ? 16 : 10); /* the text ends in a NUL */
    copy(s, (size_t)(end - first));
    if (peek(s, 0) == '.' || peek(s, 0) == 'e' || peek(s, 0) == 'E') {
        while (isalnum((unsigned char)peek(s, 0)) || peek(s, 0) == '.')
            copy(s, 1 + (size_t)(peek(s, 1) == '-' || peek(s, 1) == '+'));
        return;
    }
    if (errno == ERANGE || value > INT64_MAX)
        s->report(s->context, s->line, "a number beyond 64 bits");
    if (peek(s, 0) != 'L' && value > INT32_MAX)
        *s->out++ = 'L';
    while (peek(s, 0) == 'L')
        copy(s, 1);
}

static void copy_name(struct scan *s)
{
    while (isalnum((unsigned char)peek(s, 0)) || peek(s, 0) == '_' || peek(s, 0) == '-' ||
           peek(s, 0) == '*')
        copy(s, 1);
}

char *gw_config_text(const char *text, size_t bytes,
                     void (*report)(void *context, uint32_t line, const char *what), void *context)
{
    /* A suffix follows a number of at least eight digits: the text grows by less than its size. */
    char *copied = malloc(2 * bytes + 1);
    struct scan s = {.at = text,
                     .end = text + bytes,
                     .out = copied,
                     .line = 1,
                     .report = report,
                     .context = context};

    if (copied == NULL)
        return NULL;
    while (s.at < s.end) {
        char c = *s.at;

        if (c == '\0') {
            report(context, s.line, "a NUL byte: this is no text file");
            break;
        }
        if (c == '@') {
            report(context, s.line, "@include is not supported: one file holds everything");
            copy_line(&s); /* and takes it back: libconfig shall not see it */
            while (s.out > copied && s.out[-1] != '\n')
                s.out--;
        } else if (c == '#' || (c == '/' && peek(&s, 1) == '/')) {
            copy_line(&s);
        } else if (c == '/' && peek(&s, 1) == '*') {
            copy_comment(&s);
        } else if (c == '"') {
            copy_string(&s);
        } else if (isdigit((unsigned char)c)) {
            copy_number(&s);
        } else if (isalpha((unsigned char)c) || c == '*') {
            copy_name(&s);
        } else {
            copy(&s, 1);
        }
    }
    *s.out = '\0';
    return copied;
}
