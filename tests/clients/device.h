/*
 * What a board does once its TLS stack has connected: login, info frame, pin writes, PING; or, with
 * the profile "listen", login, info frame, and taking what is written to it. The same for every
 * stack, over whatever moves plaintext. Frames as in docs/protocol.md, "Frame".
 */
#ifndef GW_CLIENTS_DEVICE_H
#define GW_CLIENTS_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct device_link {
    void *tls;
    bool (*send)(void *tls, const uint8_t *data, size_t size); /* all of it, and flushed      */
    int (*receive)(void *tls, uint8_t *out, size_t capacity);  /* > 0, or the link is gone    */
};

/* HOST PORT CA.pem TOKEN TMPL COUNT [PROFILE] */
struct device_arguments {
    const char *host, *port, *ca, *token, *product, *profile;
    unsigned write_count;
};
/* Says how the program is called and returns false when these are not its arguments. */
bool device_arguments(int argc, char **argv, struct device_arguments *out);

/* A connected socket with 20 s deadlines, or -1 after saying why not. */
int device_connect(const char *host, const char *port);

/*
 * True when the gateway gave every answer a stock board waits for; says what it saw. Who listens is
 * to be written COUNT values on V1, which are 0, 1, 2 ... in this order, then "that", "is" and
 * "all" at once on V2.
 */
bool device_run(const struct device_link *link, const struct device_arguments *arguments);

#endif
