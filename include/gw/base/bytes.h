/*
 * A loan of bytes: who receives one may read it until the call ends, and copies what must live
 * longer. Plus loads and stores in the byte order that a format names, whatever the alignment.
 */
#ifndef GW_BASE_BYTES_H
#define GW_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct gw_bytes {
    const uint8_t *data; /* may be NULL when size is 0 */
    size_t size;
};

static inline struct gw_bytes gw_bytes_of(const void *data, size_t size)
{
    return (struct gw_bytes){.data = (const uint8_t *)data, .size = size};
}

/* The bytes of a C string, without its NUL. */
static inline struct gw_bytes gw_bytes_text(const char *text)
{
    return gw_bytes_of(text, strlen(text));
}

/* What is left after the first `count` bytes; count <= in.size. */
static inline struct gw_bytes gw_bytes_after(struct gw_bytes in, size_t count)
{
    return gw_bytes_of(in.data == NULL ? NULL : in.data + count, in.size - count);
}

static inline bool gw_bytes_equal(struct gw_bytes a, struct gw_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool gw_bytes_are(struct gw_bytes a, const char *text)
{
    return gw_bytes_equal(a, gw_bytes_text(text));
}

static inline uint16_t gw_load_be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void gw_store_be16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline uint16_t gw_load_le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t gw_load_be32(const uint8_t *p)
{
    return (uint32_t)gw_load_be16(p) << 16 | gw_load_be16(p + 2);
}

static inline void gw_store_be32(uint8_t *p, uint32_t v)
{
    gw_store_be16(p, (uint16_t)(v >> 16));
    gw_store_be16(p + 2, (uint16_t)v);
}

static inline uint32_t gw_load_le32(const uint8_t *p)
{
    return (uint32_t)gw_load_le16(p) | (uint32_t)gw_load_le16(p + 2) << 16;
}

static inline uint64_t gw_load_le64(const uint8_t *p)
{
    return (uint64_t)gw_load_le32(p) | (uint64_t)gw_load_le32(p + 4) << 32;
}

static inline void gw_store_le16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void gw_store_le32(uint8_t *p, uint32_t v)
{
    gw_store_le16(p, (uint16_t)v);
    gw_store_le16(p + 2, (uint16_t)(v >> 16));
}

static inline void gw_store_le64(uint8_t *p, uint64_t v)
{
    gw_store_le32(p, (uint32_t)v);
    gw_store_le32(p + 4, (uint32_t)(v >> 32));
}

#endif
