/*
 * user_data is a value, not a pointer: kind:8 | generation:24 | slot:32. Only this room packs it.
 */
#ifndef GW_IO_OP_INTERNAL_H
#define GW_IO_OP_INTERNAL_H

#include <gw/io/ring.h>

/* Kinds of this room alone: they never leave it. */
enum { OP_EVENT = 128, OP_MESSAGE, OP_MESSAGE_SENT, OP_CANCEL };

static inline uint64_t op_pack(uint32_t kind, uint32_t generation, uint32_t slot)
{
    return (uint64_t)kind << 56 | (uint64_t)(generation & GW_OP_GENERATION_MASK) << 32 | slot;
}

static inline uint32_t op_kind(uint64_t user_data)
{
    return (uint32_t)(user_data >> 56);
}

static inline uint32_t op_generation(uint64_t user_data)
{
    return (uint32_t)(user_data >> 32) & GW_OP_GENERATION_MASK;
}

static inline uint32_t op_slot(uint64_t user_data)
{
    return (uint32_t)user_data;
}

#endif
