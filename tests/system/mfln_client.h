/*
 * An ESP8266 as far as TLS goes: BearSSL with a receive buffer of 2048 bytes and a send buffer of
 * 512, which therefore asks for records of at most 512 bytes (RFC 6066, section 4). It looks at the
 * length of every record that comes.
 */
#ifndef TESTS_SYSTEM_MFLN_CLIENT_H
#define TESTS_SYSTEM_MFLN_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gw/base/defs.h>

struct mfln_report {
    size_t answer_bytes;     /* after the login's answer                         */
    size_t record_bytes_max; /* longest application data record, as on the wire  */
    char failure[160];
};

/*
 * Logs in, sends `questions` in one go and waits for `answer_bytes` bytes of answers. The
 * certificate is not judged: bearssl_client of tests/clients does that.
 */
GW_MUST_USE bool mfln_client_run(uint16_t port, const char *token, const uint8_t *questions,
                                 size_t question_bytes, size_t answer_bytes,
                                 struct mfln_report *report);

#endif
