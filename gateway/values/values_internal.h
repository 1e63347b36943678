/*
 * What the files of this room share.
 *
 *   table.c       last values in memory: one writer, any number of readers
 *   recycle.c     a table's memory that newer values have replaced
 *   store.c       last values on disk: LMDB
 *   values.c      the two tables, who fills which, start and stop
 *   checkpoint.c  a frozen table into the store; its memory back
 *   recover.c     opening, and the log since the last checkpoint
 *   snapshot.c    the store alone, for tools
 *   reader.c      a pin's value, wherever it is
 */
#ifndef GW_VALUES_INTERNAL_H
#define GW_VALUES_INTERNAL_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include <lmdb.h>

#include <gw/base/clock.h>
#include <gw/base/counter.h>
#include <gw/journal/record.h>
#include <gw/values/values.h>

enum { VALUES_PINS = 256, VALUES_PIN_WORDS = VALUES_PINS / 64 };

/* Ascending order is by device, then bank, then pin. The top 16 bits are 0. */
static inline uint64_t values_key(uint32_t device, char bank, uint8_t pin)
{
    return (uint64_t)device << 16 | (uint64_t)(uint8_t)bank << 8 | pin;
}

/* A set of pins of one bank. */
struct values_pins {
    uint64_t words[VALUES_PIN_WORDS];
};

static inline void values_pins_add(struct values_pins *pins, uint8_t pin)
{
    pins->words[pin / 64] |= UINT64_C(1) << pin % 64;
}

static inline bool values_pins_have(const struct values_pins *pins, uint8_t pin)
{
    return (pins->words[pin / 64] >> pin % 64 & 1) != 0;
}

/* ---- table.c ---- */

enum { VALUES_UNIT_BYTES = 8 }; /* entries begin at multiples of it */

/* One version of a value. What readers look at never changes while they may find it. */
struct values_entry {
    uint64_t key;
    uint64_t time_us;
    /* Place of another one, 0 for none: a pin's first entry has that of another pin of the device,
       a replaced one that of the next that was replaced (recycle.c). */
    uint32_t next;
    uint32_t value_bytes : 24;
    uint32_t origin : 7;
    uint32_t is_first : 1; /* of its pin since the table was empty */
    uint8_t value[];
};
_Static_assert(sizeof(struct values_entry) == 24, "what a value costs beside its bytes");

static inline uint64_t values_entry_bytes(uint64_t value_bytes)
{
    return (sizeof(struct values_entry) + value_bytes + (VALUES_UNIT_BYTES - 1)) &
           ~(uint64_t)(VALUES_UNIT_BYTES - 1);
}

/* Replaced entries of one size: see recycle.c. Longer ones wait until their table is emptied. */
enum {
    VALUES_RECYCLED_BYTES_MAX = 504, /* of a value */
    VALUES_RECYCLED_SIZES = VALUES_RECYCLED_BYTES_MAX / VALUES_UNIT_BYTES + 1
};

struct values_recycled {
    uint32_t head, tail; /* places; of nothing when all three are 0 */
    uint32_t free, waiting, replaced;
};

struct values_table {
    _Atomic uint64_t *cells; /* see table.c */
    uint32_t cell_mask, cells_used_max;
    uint8_t *arena;
    uint64_t arena_bytes;

    /* the writer's */
    uint64_t used; /* bytes of the arena */
    _Atomic uint32_t cells_used;
    uint32_t pins; /* different keys */
    struct values_recycled recycled[VALUES_RECYCLED_SIZES];
};

static inline struct values_entry *values_entry_at(const struct values_table *table, uint32_t place)
{
    return (struct values_entry *)(void *)(table->arena + (uint64_t)place * VALUES_UNIT_BYTES);
}

/* How memory_bytes is divided: two tables, and a list of one table's pins to be sorted. */
struct values_sizes {
    uint32_t cells;
    uint64_t arena_bytes;
};

struct values_sizes values_sizes_of(uint64_t memory_bytes);
GW_MUST_USE int values_table_init(struct values_table *table, struct values_sizes sizes);
void values_table_fini(struct values_table *table); /* safe on zeroed memory */

/* The writer: false, and nothing changed, when it is full. */
GW_MUST_USE bool values_table_put(struct values_table *table, uint64_t key, uint64_t time_us,
                                  uint8_t origin, struct gw_bytes value);
/* For who will put this key soon: its cell, and later what the cell names, on their way here. */
void values_table_fetch_cell(const struct values_table *table, uint64_t key);
void values_table_fetch_entry(const struct values_table *table, uint64_t key);
/* Nobody reads or writes it. */
void values_table_clear(struct values_table *table);

/* Any thread: NULL when it has none. */
const struct values_entry *values_table_get(const struct values_table *table, uint64_t key);
/* Adds the pins of a device's bank. */
void values_table_pins(const struct values_table *table, uint32_t device, char bank,
                       struct values_pins *pins);

/* What a checkpoint writes: a pin and its newest entry. */
struct values_item {
    uint64_t key;
    const struct values_entry *entry;
};

/* ---- recycle.c: the writer's ---- */

/* This entry was replaced by another one of its pin, and was not the pin's first. */
void values_recycle_put(struct values_table *table, uint32_t place);
/* A place for an entry of so many bytes, a multiple of the unit; 0 when there is none. */
GW_MUST_USE uint32_t values_recycle_take(struct values_table *table, uint64_t bytes);
/* All readers that were inside a turn at the last call have left it since. */
void values_recycle_meeting(struct values_table *table);

/* Every pin's entry, in ascending order of the keys; `items` has room for cells_used_max. */
uint32_t values_table_sorted(const struct values_table *table, struct values_item *items);

/* ---- store.c ---- */

/* What stands in the store's head row. */
struct values_head {
    struct gw_journal_position position; /* the store has all that the log has before it */
    uint64_t time_us;                    /* of the checkpoint                            */
};

struct values_store {
    char path[PATH_MAX];
    MDB_env *env;
    MDB_dbi rows, head;
    bool is_suspect; /* its file lacked pages */
};

enum values_store_mode {
    VALUES_STORE_READ,  /* another process's                  */
    VALUES_STORE_WRITE, /* the gateway's; made when missing   */
};

/* 0, or -errno with a reason. A store that was just made has no head: values_store_head says
   -ENOENT. */
GW_MUST_USE int values_store_open(struct values_store *store, const char *path,
                                  enum values_store_mode mode, const char **why);
void values_store_close(struct values_store *store); /* safe on zeroed memory and twice */
/* Moves the files of a closed store that is of no use out of the way, over those of the last time.
 */
GW_MUST_USE int values_store_put_aside(const char *path);

GW_MUST_USE int values_store_head(const struct values_store *store, struct values_head *out);
/* Items in ascending order, then the head: in several transactions, the head in the last one. */
GW_MUST_USE int values_store_write(const struct values_store *store,
                                   const struct values_item *items, uint32_t count,
                                   const struct values_head *head);
void values_store_size(const struct values_store *store, uint64_t *rows, uint64_t *bytes);
/*
 * Looks how large the store is, for gw_values_stat: who asks for that must not wait for a disk that
 * hangs, and to begin a read transaction may be to write to a page of the lock file.
 */
void values_note_size(struct gw_values *values);

/* A read transaction, reset: values_store_renew and values_store_reset go around its use. */
struct values_view {
    const struct values_store *store;
    MDB_txn *txn;
    MDB_cursor *cursor;
};

GW_MUST_USE int values_view_open(const struct values_store *store, struct values_view *view);
void values_view_close(struct values_view *view); /* safe on zeroed memory */
GW_MUST_USE int values_view_renew(struct values_view *view);
void values_view_reset(struct values_view *view);
/* 0, -ENOENT, -EBADMSG ...; bytes live until the reset. */
GW_MUST_USE int values_view_get(const struct values_view *view, uint64_t key, struct gw_value *out);
GW_MUST_USE int values_view_pins(const struct values_view *view, uint32_t device, char bank,
                                 struct values_pins *pins);

/* ---- values.c ---- */

#define VALUES_NO_SEGMENT UINT64_MAX

struct gw_values_reader {
    struct gw_values *values;
    struct gw_values_reader *next;
    struct values_view view;
    bool inside;   /* since the last pause something was asked for */
    uint32_t seen; /* bit i: table i was to be looked at since     */

    _Alignas(GW_CACHE_LINE) _Atomic uint64_t turn; /* odd while `inside` */
    uint64_t turn_met[2];                          /* by each values_meeting, under the lock */
};

/* Who notes readers that are inside a turn, to see later that they have left it. */
enum values_meeting { VALUES_OF_CHECKPOINT, VALUES_OF_UPLINK };

/* The tables that readers look at: the one in use, and whether the other one is frozen. */
#define VIEW_IN_USE(view) ((view)&1u)
#define VIEW_FROZEN       2u
#define VIEW_TABLES(view) ((view)&VIEW_FROZEN ? 3u : 1u << VIEW_IN_USE(view))

struct gw_values {
    struct gw_values_options options; /* its paths are our own copies */
    char journal_path[PATH_MAX];
    struct values_store store;
    struct values_table tables[2];
    struct values_item *items; /* one table's, sorted: the checkpoint's scratch */

    _Atomic uint32_t view;

    /* the uplink's, or of whoever recovers */
    uint32_t in_use;
    struct gw_journal_position applied; /* behind the last group whose records are all in a table */
    struct gw_journal_position frozen_to; /* what the newest checkpoint will cover, or does */
    uint64_t segment;                     /* of the log, when the table in use became so; 0: of */
                                          /* the first batch                                   */
    struct gw_instant frozen_at;          /* when the table in use became so                 */
    bool gave_up; /* a stop did not wait for a store that fails: nothing more is applied */

    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool
        other_is_frozen; /* the table that is not in use waits for the store, or is being emptied */
    struct values_head checkpoint; /* of the frozen one */
    uint64_t checkpoint_records;
    bool stopping, hurry;
    struct gw_values_reader *readers;

    bool started;
    pthread_t thread;

    /* single writer: the uplink */
    struct gw_counter applied_records, waits, memory_pins;
    _Atomic uint64_t in_use_since_ns; /* the oldest record in it; 0: it has none */
    /* single writer: the checkpoint */
    struct gw_counter stored_records, rows_written, checkpoints;
    struct gw_counter store_rows, store_bytes; /* at the last checkpoint */
    _Atomic uint64_t frozen_since_ns;          /* 0: nothing is frozen. Both write it, in turn */
    _Atomic bool stalled;
    _Atomic bool cursor_is_late; /* the newest checkpoint is in the store, and the log not told */
};

/* Applies one record, if it sets a value. -errno of a checkpoint that had to be written first. */
GW_MUST_USE int values_apply(struct gw_values *values, const struct gw_record *record);
/* Between records: memory that newer values have replaced is used again in due time. */
void values_recycle(struct gw_values *values);
/* Makes the other table the one in use, if that is free; with `wait`, once it is. */
GW_MUST_USE int values_freeze(struct gw_values *values, bool wait);

/* ---- reader.c ---- */

/* What is stored before is seen by every reader that is not noted. */
void values_meet_readers(struct gw_values *values, enum values_meeting by);
/* All that were inside a turn then have ended it. */
bool values_readers_have_left(struct gw_values *values, enum values_meeting by);

/* ---- checkpoint.c ---- */

/* Writes the frozen table to the store and makes it free. 0 or -errno, and it stays frozen. */
GW_MUST_USE int values_checkpoint(struct gw_values *values);
void *values_thread(void *values);

#endif
