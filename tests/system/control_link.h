/*
 * A program that gives the gateway commands on its control socket. Like a client of client.h it
 * never ends the test itself: main thread or not.
 */
#ifndef TESTS_SYSTEM_CONTROL_LINK_H
#define TESTS_SYSTEM_CONTROL_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gw/base/defs.h>

enum { CONTROL_ANSWER_BYTES = 1024 };

struct control_link {
    int fd;
    char in[65536];
    size_t in_bytes;
};

GW_MUST_USE bool control_open(struct control_link *link, const char *path);
void control_close(struct control_link *link);
/* Puts a newline behind it. False: it was not taken whole. */
GW_MUST_USE bool control_say(struct control_link *link, const char *format, ...) GW_PRINTF(2, 3);
/* As many bytes as are taken without waiting. */
size_t control_push(struct control_link *link, const char *bytes, size_t size);
/* The next line, without its newline. False: none within `ms`, or the gateway hung up. */
GW_MUST_USE bool control_hear(struct control_link *link, char answer[CONTROL_ANSWER_BYTES],
                              uint32_t ms);
/* One command, one answer: the text of "result" or "error", "" when there is neither. */
const char *control_ask(struct control_link *link, char answer[CONTROL_ANSWER_BYTES],
                        const char *format, ...) GW_PRINTF(3, 4);

#endif
