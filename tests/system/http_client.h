/*
 * An HTTP client for tests: requests as text, answers taken apart. Main thread only, as harness.h.
 */
#ifndef TESTS_SYSTEM_HTTP_CLIENT_H
#define TESTS_SYSTEM_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness.h"

enum { HTTP_SOON_MS = 3000, HTTP_ANSWER_BYTES = 1 << 17, HTTP_ANSWER_HEAD_BYTES = 1024 };

/* What stands behind a request's target: the end of its line, and its fields as far as they go. */
#define HOST " HTTP/1.1\r\nHost: gateway.example\r\n"
#define END  HOST "\r\n"
#define JSON HOST "Content-Type: application/json\r\n"

#define ERROR(text)   "{\"error\":{\"message\":\"" text "\"}}"
#define INVALID_TOKEN ERROR("Invalid token.")
#define WRONG_PIN     ERROR("Wrong pin format.")
#define WRONG_VALUE   ERROR("Value doesn't match the Datastream data type.")
#define NO_STREAM     ERROR("No datastream setup for that pin.")
#define NO_VALUE      ERROR("Requested dataStream doesn't exist in the product.")
#define NOTHING_THERE ERROR("There is nothing of this name.")
#define LATER         ERROR("Try again later.")

#define HUNDRED                                                                                    \
    "01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901" \
    "23456789"
#define THOUSAND HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED
#define UNKNOWN  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

struct http_answer {
    int status;
    char head[HTTP_ANSWER_HEAD_BYTES];
    char body[HTTP_ANSWER_BYTES];
};

/* The text with every "{T}" replaced by the token; owned. */
char *http_with_token(const char *text, const char *token);
/* Sends the text, "{T}" being the device's token. */
void http_send(struct sys_gateway *g, struct sys_client *c, const struct sys_device *device,
               const char *request);
/* The next response; `head_only` for the answer to a HEAD. */
void http_read(struct sys_gateway *g, struct sys_client *c, struct http_answer *out,
               bool head_only);
/* Both. */
void http_ask(struct sys_gateway *g, struct sys_client *c, const struct sys_device *device,
              const char *request, struct http_answer *out);

/* The next response is this one. */
void http_expect(struct sys_gateway *g, struct sys_client *c, int status, const char *body);
/* The request is answered with this status and body. */
void http_must(struct sys_gateway *g, struct sys_client *c, const struct sys_device *device,
               const char *request, int status, const char *body);

/*
 * A request with points 0.5, 1.5, ... for the pin that the parameter `pin` names ("pin=V1",
 * "dataStreamId=7"), a millisecond apart from `first_ms` on; owned. Its token is in it.
 */
char *http_batch(unsigned points, uint64_t first_ms, const char *token, const char *pin);
uint64_t http_wall_ms(void);

#endif
