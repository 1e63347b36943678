/*
 * An HTTP client for tests. See http_client.h.
 */
#include "http_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

char *http_with_token(const char *text, const char *token)
{
    size_t bytes = 0;
    char *out = NULL;
    FILE *file = open_memstream(&out, &bytes);

    assert_non_null(file);
    while (*text != '\0') {
        if (strncmp(text, "{T}", 3) == 0) {
            (void)fputs(token, file);
            text += 3;
        } else {
            (void)fputc(*text++, file);
        }
    }
    assert_int_equal(fclose(file), 0);
    return out;
}

void http_send(struct sys_gateway *g, struct sys_client *c, const struct sys_device *device,
               const char *request)
{
    char *text = http_with_token(request, device->token);

    sys_must(g, c, sys_client_send(c, text, strlen(text)));
    free(text);
}

void http_read(struct sys_gateway *g, struct sys_client *c, struct http_answer *out, bool head_only)
{
    uint64_t deadline = sys_now_ms() + sys_ms(HTTP_SOON_MS);
    const char *end = NULL, *length;
    size_t head_bytes, body_bytes = 0;

    *out = (struct http_answer){.status = 0};
    for (;;) {
        end = c->in_bytes == 0 ? NULL : memmem(c->in, c->in_bytes, "\r\n\r\n", 4);
        if (end != NULL)
            break;
        sys_check(g, c->end == SYS_OPEN && sys_now_ms() < deadline,
                  "no answer; %zu bytes of one, end %d", c->in_bytes, c->end);
        (void)sys_client_receive(c, 20);
    }
    head_bytes = (size_t)(end + 4 - (const char *)c->in);
    assert_true(head_bytes < sizeof out->head);
    memcpy(out->head, c->in, head_bytes);
    assert_int_equal(sscanf(out->head, "HTTP/1.1 %3d ", &out->status), 1);
    length = strstr(out->head, "\r\ncontent-length: ");
    if (length != NULL && !head_only)
        body_bytes = strtoul(length + strlen("\r\ncontent-length: "), NULL, 10);
    assert_true(body_bytes < sizeof out->body);
    sys_must(g, c, sys_client_expect(c, out->head, head_bytes, sys_ms(HTTP_SOON_MS)));
    while (c->in_bytes < body_bytes && c->end == SYS_OPEN && sys_now_ms() < deadline)
        (void)sys_client_receive(c, 20);
    assert_true(c->in_bytes >= body_bytes);
    if (body_bytes > 0)
        memcpy(out->body, c->in, body_bytes);
    sys_must(g, c, sys_client_expect(c, out->body, body_bytes, sys_ms(HTTP_SOON_MS)));
}

void http_ask(struct sys_gateway *g, struct sys_client *c, const struct sys_device *device,
              const char *request, struct http_answer *out)
{
    http_send(g, c, device, request);
    http_read(g, c, out, strncmp(request, "HEAD", 4) == 0);
}

void http_expect(struct sys_gateway *g, struct sys_client *c, int status, const char *body)
{
    struct http_answer answer;

    http_read(g, c, &answer, false);
    sys_check(g, answer.status == status && strcmp(answer.body, body) == 0,
              "expected %d %s, got %s%s", status, body, answer.head, answer.body);
}

void http_must(struct sys_gateway *g, struct sys_client *c, const struct sys_device *device,
               const char *request, int status, const char *body)
{
    struct http_answer answer;

    http_ask(g, c, device, request, &answer);
    sys_check(g, answer.status == status && strcmp(answer.body, body) == 0,
              "%s\nexpected %d %s, got %s%s", request, status, body, answer.head, answer.body);
}

char *http_batch(unsigned points, uint64_t first_ms, const char *token, const char *pin)
{
    char *body = NULL, *request;
    size_t bytes = 0;
    FILE *file = open_memstream(&body, &bytes);

    assert_non_null(file);
    (void)fputc('[', file);
    for (unsigned i = 0; i < points; i++)
        (void)fprintf(file, "%s[%llu,%u.5]", i > 0 ? "," : "", (unsigned long long)first_ms + i, i);
    (void)fputc(']', file);
    assert_int_equal(fclose(file), 0);
    request =
        sys_text("POST /external/api/batch/update?token=%s&%s" JSON "Content-Length: %zu\r\n\r\n%s",
                 token, pin, bytes, body);
    free(body);
    return request;
}

uint64_t http_wall_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
