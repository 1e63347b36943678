/*
 * Requests that must be refused, and what for. tests/unit/http reads them at every cut, and
 * tests/system sends them to the real process.
 */
#ifndef TESTS_SYSTEM_HTTP_CASES_H
#define TESTS_SYSTEM_HTTP_CASES_H

#include <stddef.h>

#include <gw/http/request.h>

struct http_case {
    enum gw_http_fault fault;
    const char *bytes;
    size_t size;
};

/* What the cases are made for: the defaults of the gateway. */
enum {
    CASE_HEAD_BYTES_MAX = 8192,
    CASE_HEADERS_MAX = 64,
    CASE_BODY_BYTES_MAX = 524288,
    CASE_CHUNKED_BYTES_MAX = 65536,
};

#define BAD(fault, bytes)                                                                          \
    {                                                                                              \
        GW_HTTP_FAULT_##fault, bytes, sizeof(bytes) - 1                                            \
    }

#define H       "Host: gateway.example\r\n"
#define GET     "GET /external/api/isHardwareConnected HTTP/1.1\r\n"
#define POST    "POST /external/api/batch/update HTTP/1.1\r\n" H
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
#define SIXTEEN "0123456789abcdef"
#define HUNDREDS                                                                                   \
    SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN        \
        SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN
#define THOUSAND     HUNDREDS HUNDREDS HUNDREDS HUNDREDS
#define EIGHT_K      THOUSAND THOUSAND THOUSAND THOUSAND THOUSAND THOUSAND THOUSAND THOUSAND
#define EIGHT_FIELDS "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 6\r\nG: 7\r\nI: 8\r\n"

static const struct http_case http_cases[] = {
    /* line ends: RFC 9112 2.2 */
    BAD(BARE_LF, "GET / HTTP/1.1\n"),
    BAD(BARE_LF, "GET / HTTP/1.1\nHost: h\n\n"),
    BAD(BARE_LF, "GET / HTTP/1.1\r\nHost: h\n\r\n"),
    BAD(BARE_LF, "GET / HTTP/1.1\r\nHost: h\r\n\n"),
    BAD(BARE_LF, "GET / HTTP/1.1\r\nHost: h\r\nA: b\nC: d\r\n\r\n"),
    BAD(BARE_LF, "GET\n/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(BARE_LF, "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(BARE_LF, CHUNKED "5\nhello\r\n0\r\n\r\n"),
    BAD(BARE_LF, CHUNKED "0\n\r\n"),
    BAD(BARE_LF, CHUNKED "0\r\n\n"),
    BAD(BARE_LF, CHUNKED "0\r\nA: b\n\r\n"),
    BAD(BARE_LF, CHUNKED "5;a=b\nhello\r\n0\r\n\r\n"),
    BAD(BARE_CR, "GET / HTTP/1.1\rHost: h\r\n\r\n"),
    BAD(BARE_CR, "GET / HTTP/1.1\r\nHost: h\rA: b\r\n\r\n"),
    BAD(BARE_CR, "GET / HTTP/1.1\r\nHost: h\r\n\rA: b\r\n\r\n"),
    BAD(BARE_CR, "GET / HTTP/1.1\r\r\nHost: h\r\n\r\n"),
    BAD(BARE_CR, "GET / HTTP/1.1\r\nHost: h\r\r\n\r\n"),
    BAD(BARE_CR, "\rGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(BARE_CR, "GET /\r HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(BARE_CR, CHUNKED "5\rhello\r\n0\r\n\r\n"),
    BAD(BARE_CR, CHUNKED "0\r\n\r\r\n"),
    /* the request line: RFC 9112 3 */
    BAD(REQUEST_LINE, "GET\r\nHost: h\r\n\r\n"),
    BAD(REQUEST_LINE, "GET /\r\nHost: h\r\n\r\n"),
    BAD(REQUEST_LINE, "GET /\r\n"),
    BAD(REQUEST_LINE, "OPTIONS *\r\n\r\n"),
    BAD(REQUEST_LINE, "GET /index.html#top\r\n\r\n"),
    BAD(METHOD, " GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(METHOD, "\tGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(METHOD, "G(T / HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(METHOD, "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(METHOD, "GET: / HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(METHOD, "G\0T / HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(METHOD, "G\xc3\x89T / HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(METHOD, "\x16\x03\x01\x02\r\n\r\n"),
    BAD(METHOD, "GET/HTTP/1.1\r\n\r\n"),
    BAD(METHOD, "\"GET\" / HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(METHOD, "{\"method\":\"GET\"}\r\n\r\n"),
    BAD(VERSION, "GET  / HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(VERSION, "GET /  HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(VERSION, "GET / a HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(VERSION, "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(VERSION, "GET / HTTP/1.1 \r\nHost: h\r\n\r\n"),
    BAD(VERSION, "GET / HTTP/1.1\t\r\nHost: h\r\n\r\n"),
    BAD(VERSION, "GET / \tHTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(VERSION, "GET / \r\nHost: h\r\n\r\n"),
    BAD(VERSION, "GET / http/1.1\r\nHost: h\r\n\r\n"),
    BAD(VERSION, "GET / Http/1.1\r\nHost: h\r\n\r\n"),
    BAD(VERSION, "GET / HTTP/1\r\nHost: h\r\n\r\n"),
    BAD(VERSION, "GET / HTTP/1.\r\nHost: h\r\n\r\n"),
    BAD(VERSION, "GET / HTTP/.1\r\nHost: h\r\n\r\n"),
    BAD(VERSION, "GET / HTTP/11\r\nHost: h\r\n\r\n"),
    BAD(VERSION, "GET / HTTP/1,1\r\nHost: h\r\n\r\n"),
    BAD(VERSION, "GET / HTTP/1.10\r\nHost: h\r\n\r\n"),
    BAD(VERSION, "GET / HTTP/01.1\r\nHost: h\r\n\r\n"),
    BAD(VERSION, "GET / HTTP/-1.1\r\nHost: h\r\n\r\n"),
    BAD(VERSION, "GET / HTTP/x.y\r\nHost: h\r\n\r\n"),
    BAD(VERSION, "GET / HTTP 1.1\r\nHost: h\r\n\r\n"),
    BAD(VERSION, "GET / HTTPS/1.1\r\nHost: h\r\n\r\n"),
    BAD(VERSION, "GET / ICY/1.1 \r\nHost: h\r\n\r\n"),
    BAD(VERSION, "GET / HTTP/1.\0\r\nHost: h\r\n\r\n"),
    BAD(VERSION_UNKNOWN, "GET / HTTP/2.0\r\nHost: h\r\n\r\n"),
    BAD(VERSION_UNKNOWN, "GET / HTTP/0.9\r\nHost: h\r\n\r\n"),
    BAD(VERSION_UNKNOWN, "GET / HTTP/9.9\r\nHost: h\r\n\r\n"),
    BAD(VERSION_UNKNOWN, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    /* the target: RFC 9112 3.2, RFC 3986 */
    BAD(TARGET, "GET x HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(TARGET, "GET * HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(TARGET, "OPTIONS ** HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(TARGET, "GET ../etc/passwd HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(TARGET, "GET \\ HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(TARGET, "GET ?a=b HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(TARGET, "GET /#top HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(TARGET, "GET /a\x01 HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(TARGET, "GET /a\0b HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(TARGET, "GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(TARGET, "GET /a\x7f HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(TARGET, "GET /caf\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(TARGET, "GET /% HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(TARGET, "GET /%4 HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(TARGET, "GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(TARGET, "GET /?a=%u0041 HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(TARGET, "GET /?a=1%2 HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(TARGET, "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(TARGET, "GET http:/// HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(TARGET, "GET http://?a HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(TARGET, "GET http:/h/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(TARGET, "GET http://h?a=b HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(TARGET, "CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(TARGET, "GET h:443 HTTP/1.1\r\nHost: h\r\n\r\n"),
    /* too much of it */
    BAD(TARGET_TOO_LONG, "GET /" EIGHT_K),
    BAD(TARGET_TOO_LONG, "G" EIGHT_K),
    BAD(TARGET_TOO_LONG, "GET /?" EIGHT_K " HTTP/1.1\r\nHost: h\r\n\r\n"),
    BAD(HEAD_TOO_LARGE, "GET / HTTP/1.1\r\nHost: h\r\nA: " EIGHT_K "\r\n\r\n"),
    BAD(HEAD_TOO_LARGE, "GET / HTTP/1.1\r\nHost: h\r\n" EIGHT_K ": a\r\n\r\n"),
    BAD(HEAD_TOO_LARGE, "GET / HTTP/1.1\r\nCookie: " EIGHT_K),
    BAD(HEADERS_TOO_MANY,
        "GET / HTTP/1.1\r\nHost: h\r\n" EIGHT_FIELDS EIGHT_FIELDS EIGHT_FIELDS EIGHT_FIELDS
            EIGHT_FIELDS EIGHT_FIELDS EIGHT_FIELDS EIGHT_FIELDS "\r\n"),
    /* fields: RFC 9112 5, RFC 9110 5 */
    BAD(FOLDED, "GET / HTTP/1.1\r\n Host: h\r\n\r\n"),
    BAD(FOLDED, "GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n"),
    BAD(FOLDED, "GET / HTTP/1.1\r\nHost: h\r\n\tfolded\r\n\r\n"),
    BAD(FOLDED, "GET / HTTP/1.1\r\nHost: h\r\n \r\n\r\n"),
    BAD(FOLDED, POST "Content-Length: 5\r\n ,6\r\n\r\nhello"),
    BAD(FOLDED, POST "A: b\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    BAD(FOLDED, CHUNKED "0\r\n A: b\r\n\r\n"),
    BAD(FIELD_NAME, "GET / HTTP/1.1\r\nHost : h\r\n\r\n"),
    BAD(FIELD_NAME, "GET / HTTP/1.1\r\nHost\t: h\r\n\r\n"),
    BAD(FIELD_NAME, "GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n"),
    BAD(FIELD_NAME, "GET / HTTP/1.1\r\nHost: h\r\n: no name\r\n\r\n"),
    BAD(FIELD_NAME, "GET / HTTP/1.1\r\nHost: h\r\n:\r\n\r\n"),
    BAD(FIELD_NAME, "GET / HTTP/1.1\r\nHost: h\r\nA B: c\r\n\r\n"),
    BAD(FIELD_NAME, "GET / HTTP/1.1\r\nHost: h\r\nA\0B: c\r\n\r\n"),
    BAD(FIELD_NAME, "GET / HTTP/1.1\r\nHost: h\r\nA(B): c\r\n\r\n"),
    BAD(FIELD_NAME, "GET / HTTP/1.1\r\nHost: h\r\n\"A\": c\r\n\r\n"),
    BAD(FIELD_NAME, "GET / HTTP/1.1\r\nHost: h\r\nA[]: c\r\n\r\n"),
    BAD(FIELD_NAME, "GET / HTTP/1.1\r\nHost: h\r\n\xc3\xa9: c\r\n\r\n"),
    BAD(FIELD_NAME, "GET / HTTP/1.1\r\nHost: h\r\nA\x7f: c\r\n\r\n"),
    BAD(FIELD_NAME, "GET / HTTP/1.1\r\nHost: h\r\n{a}: c\r\n\r\n"),
    BAD(FIELD_NAME, "GET / HTTP/1.1\r\nHost: h\r\n\x0b: c\r\n\r\n"),
    BAD(FIELD_NAME, POST "Content-Length : 5\r\n\r\nhello"),
    BAD(FIELD_NAME, POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    BAD(FIELD_NAME, POST "\vTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    BAD(FIELD_NAME, POST "Transfer\0-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    BAD(FIELD_NAME, CHUNKED "0\r\nA : b\r\n\r\n"),
    BAD(FIELD_NAME, CHUNKED "0\r\nGET / HTTP/1.1\r\n\r\n"),
    BAD(FIELD_VALUE, "GET / HTTP/1.1\r\nHost: h\r\nA: b\0c\r\n\r\n"),
    BAD(FIELD_VALUE, "GET / HTTP/1.1\r\nHost: h\0\r\n\r\n"),
    BAD(FIELD_VALUE, "GET / HTTP/1.1\r\nHost: h\r\nA: \x01\r\n\r\n"),
    BAD(FIELD_VALUE, "GET / HTTP/1.1\r\nHost: h\r\nA: b\x7f\r\n\r\n"),
    BAD(FIELD_VALUE, "GET / HTTP/1.1\r\nHost: h\r\nA: b\x1b[2J\r\n\r\n"),
    BAD(FIELD_VALUE, "GET / HTTP/1.1\r\nHost: h\r\nA: b\x0c\r\n\r\n"),
    BAD(FIELD_VALUE, POST "Content-Length: 5\x0b\r\n\r\nhello"),
    BAD(FIELD_VALUE, POST "Transfer-Encoding: \x0b"
                          "chunked\r\n\r\n0\r\n\r\n"),
    BAD(FIELD_VALUE, CHUNKED "0\r\nA: b\0\r\n\r\n"),
    BAD(FIELD_TWICE, "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"),
    BAD(FIELD_TWICE, "GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n"),
    BAD(FIELD_TWICE, "GET / HTTP/1.0\r\nHost: h\r\nHOST: h\r\n\r\n"),
    BAD(FIELD_TWICE, POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    BAD(FIELD_TWICE, POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
    BAD(FIELD_TWICE, POST "Content-Length: 0\r\ncontent-length: 44\r\n\r\n"),
    BAD(FIELD_TWICE,
        POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    BAD(FIELD_TWICE,
        "GET / HTTP/1.1\r\n" H "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n"),
    BAD(FIELD_TWICE, POST "Content-Type: a/b\r\nContent-Type: c/d\r\n\r\n"),
    BAD(FIELD_TWICE, POST "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n"),
    /* Host: RFC 9112 3.2 */
    BAD(HOST_MISSING, "GET / HTTP/1.1\r\n\r\n"),
    BAD(HOST_MISSING, "GET / HTTP/1.9\r\nA: b\r\n\r\n"),
    BAD(HOST_MISSING, "GET http://h/ HTTP/1.1\r\n\r\n"),
    BAD(HOST, "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    BAD(HOST, "GET / HTTP/1.1\r\nHost: \t \r\n\r\n"),
    BAD(HOST, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    BAD(HOST, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    BAD(HOST, "GET / HTTP/1.1\r\nHost: a?b\r\n\r\n"),
    BAD(HOST, "GET / HTTP/1.1\r\nHost: user@h\r\n\r\n"),
    BAD(HOST, "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    BAD(HOST, "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"),
    BAD(HOST, "GET / HTTP/1.1\r\nHost: h:80a\r\n\r\n"),
    BAD(HOST, "GET / HTTP/1.1\r\nHost: h:80:80\r\n\r\n"),
    BAD(HOST, "GET / HTTP/1.1\r\nHost: :80\r\n\r\n"),
    BAD(HOST, "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"),
    BAD(HOST, "GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n"),
    BAD(HOST, "GET / HTTP/1.1\r\nHost: [g]\r\n\r\n"),
    BAD(HOST, "GET / HTTP/1.1\r\nHost: h\\\r\n\r\n"),
    BAD(HOST, "GET / HTTP/1.1\r\nHost: caf\xc3\xa9\r\n\r\n"),
    BAD(HOST, "GET / HTTP/1.0\r\nHost:\r\n\r\n"),
    BAD(HOST_DIFFERS, "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n"),
    BAD(HOST_DIFFERS, "GET http://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    BAD(HOST_DIFFERS, "GET https://a.b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    BAD(HOST_DIFFERS, "GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    /* how long the body is: RFC 9112 6 */
    BAD(LENGTH, POST "Content-Length:\r\n\r\n"),
    BAD(LENGTH, POST "Content-Length: +5\r\n\r\nhello"),
    BAD(LENGTH, POST "Content-Length: -5\r\n\r\nhello"),
    BAD(LENGTH, POST "Content-Length: 5,5\r\n\r\nhello"),
    BAD(LENGTH, POST "Content-Length: 5, 5\r\n\r\nhello"),
    BAD(LENGTH, POST "Content-Length: 5 5\r\n\r\nhello"),
    BAD(LENGTH, POST "Content-Length: 0x5\r\n\r\nhello"),
    BAD(LENGTH, POST "Content-Length: 5.0\r\n\r\nhello"),
    BAD(LENGTH, POST "Content-Length: 1e3\r\n\r\nhello"),
    BAD(LENGTH, POST "Content-Length: five\r\n\r\nhello"),
    BAD(LENGTH, POST "Content-Length: \"5\"\r\n\r\nhello"),
    BAD(LENGTH, POST "Content-Length: 1_0\r\n\r\nhellohello"),
    BAD(LENGTH, POST "Content-Length: 5;\r\n\r\nhello"),
    BAD(BODY_TOO_LARGE, POST "Content-Length: 524289\r\n\r\n"),
    BAD(BODY_TOO_LARGE, POST "Content-Length: 18446744073709551615\r\n\r\n"),
    BAD(BODY_TOO_LARGE, POST "Content-Length: 18446744073709551621\r\n\r\nhello"),
    BAD(BODY_TOO_LARGE, POST "Content-Length: 99999999999999999999999999999999\r\n\r\n"),
    BAD(LENGTH_AND_CODING, POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    BAD(LENGTH_AND_CODING, POST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n"),
    BAD(LENGTH_AND_CODING,
        GET H "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nG"),
    BAD(CODING, POST "Transfer-Encoding: identity\r\n\r\n"),
    BAD(CODING, POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    BAD(CODING, POST "Transfer-Encoding: chunked, gzip\r\n\r\n"),
    BAD(CODING, POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    BAD(CODING, POST "Transfer-Encoding: xchunked\r\n\r\n"),
    BAD(CODING, POST "Transfer-Encoding: chunkedx\r\n\r\n"),
    BAD(CODING, POST "Transfer-Encoding: \"chunked\"\r\n\r\n"),
    BAD(CODING, POST "Transfer-Encoding: chunked;q=1\r\n\r\n"),
    BAD(CODING, POST "Transfer-Encoding: chunked,\r\n\r\n"),
    BAD(CODING, POST "Transfer-Encoding: ,chunked\r\n\r\n"),
    BAD(CODING, POST "Transfer-Encoding:\r\n\r\n"),
    BAD(CODING, POST "Transfer-Encoding: cow\r\nContent-Length: 5\r\n\r\nhello"),
    BAD(CODING_IN_1_0, "POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    BAD(EXPECTATION, POST "Expect: 200-ok\r\nContent-Length: 5\r\n\r\n"),
    BAD(EXPECTATION, POST "Expect:\r\n\r\n"),
    BAD(EXPECTATION, POST "Expect: 100-continue, x\r\n\r\n"),
    /* chunks: RFC 9112 7.1 */
    BAD(CHUNK_SIZE, CHUNKED "\r\nhello\r\n0\r\n\r\n"),
    BAD(CHUNK_SIZE, CHUNKED "g\r\n"),
    BAD(CHUNK_SIZE, CHUNKED "-5\r\nhello\r\n0\r\n\r\n"),
    BAD(CHUNK_SIZE, CHUNKED "+5\r\nhello\r\n0\r\n\r\n"),
    BAD(CHUNK_SIZE, CHUNKED "0x5\r\nhello\r\n0\r\n\r\n"),
    BAD(CHUNK_SIZE, CHUNKED " 5\r\nhello\r\n0\r\n\r\n"),
    BAD(CHUNK_SIZE, CHUNKED "5 \r\nhello\r\n0\r\n\r\n"),
    BAD(CHUNK_SIZE, CHUNKED "5\t;a\r\nhello\r\n0\r\n\r\n"),
    BAD(CHUNK_SIZE, CHUNKED "5_0\r\nhello\r\n0\r\n\r\n"),
    BAD(CHUNK_SIZE, CHUNKED "5,\r\nhello\r\n0\r\n\r\n"),
    BAD(CHUNK_SIZE, CHUNKED "000000005\r\nhello\r\n0\r\n\r\n"),
    BAD(CHUNK_SIZE, CHUNKED "10000000000000005\r\nhello\r\n0\r\n\r\n"),
    BAD(CHUNK_SIZE, CHUNKED ";a=b\r\nhello\r\n0\r\n\r\n"),
    BAD(CHUNK_SIZE, CHUNKED "5\0\r\nhello\r\n0\r\n\r\n"),
    BAD(CHUNK_SIZE, CHUNKED HUNDREDS SIXTEEN),
    BAD(CHUNK_EXTENSION, CHUNKED "5;" HUNDREDS "\r\nhello\r\n0\r\n\r\n"),
    BAD(CHUNK_EXTENSION, CHUNKED "5;" HUNDREDS SIXTEEN),
    BAD(CHUNK_EXTENSION, CHUNKED "5;" HUNDREDS SIXTEEN "\nhello\r\n0\r\n\r\n"),
    BAD(CHUNK_EXTENSION, CHUNKED "5;a=\x01\r\nhello\r\n0\r\n\r\n"),
    BAD(CHUNK_EXTENSION, CHUNKED "5;a\0b\r\nhello\r\n0\r\n\r\n"),
    BAD(CHUNK_EXTENSION, CHUNKED "0;\x7f\r\n\r\n"),
    BAD(CHUNK_END, CHUNKED "5\r\nhello!\r\n0\r\n\r\n"),
    BAD(CHUNK_END, CHUNKED "5\r\nhello\n0\r\n\r\n"),
    BAD(CHUNK_END, CHUNKED "5\r\nhello\rX"),
    BAD(CHUNK_END, CHUNKED "4\r\nhello\r\n0\r\n\r\n"),
    BAD(CHUNK_END, CHUNKED "5\r\nhello0\r\n\r\n"),
    BAD(TRAILER, CHUNKED "0\r\nContent-Length: 5\r\n\r\n"),
    BAD(TRAILER, CHUNKED "5\r\nhello\r\n0\r\nA: b\r\ntransfer-encoding: chunked\r\n\r\n"),
    BAD(TRAILER, CHUNKED "0\r\nHOST: h\r\n\r\n"),
    BAD(BODY_TOO_LARGE, CHUNKED "10000\r\n"),
    BAD(BODY_TOO_LARGE, CHUNKED "ffffffff\r\n"),
    BAD(BODY_TOO_LARGE, CHUNKED "5\r\nhello\r\nFFF0\r\n"),
};

#undef BAD
#undef H
#undef GET
#undef POST
#undef CHUNKED
#undef SIXTEEN
#undef HUNDREDS
#undef THOUSAND
#undef EIGHT_K
#undef EIGHT_FIELDS

#endif
