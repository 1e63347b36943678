/*
 * The table of sources that fail. Sets of GW_LOCKOUT_WAYS entries, each set with a lock of one
 * flag; `key`, `until_ns` and `by_hand` are atomics, so that looks do without it.
 *
 *   I1  Whatever changes an entry holds its set's lock.
 *   I2  An entry that gets another source is first unlocked, then renamed, then filled: a look that
 *       finds its source before and after reading `until_ns` has read that source's.
 *   I3  A locked entry is given to another source by gw_lockout_ban alone.
 */
#include <gw/base/lockout.h>

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <gw/base/assert.h>
#include <gw/base/bytes.h>

/* Failures are remembered in steps of 100 ms: 32 bits of them are 13 years. */
#define STEP_NS (100 * GW_NS_PER_MS)
enum { STEPS_PER_S = 10 };

/*
 * Keys: the first 64 bits of an IPv6 address; of IPv4, 1 and the address, which as a /64 lies in
 * 0000::/8 and is nobody's; of ::/64, which holds ::1, one from there as well.
 */
#define KEY_V4      (UINT64_C(1) << 32)
#define KEY_ZERO_64 (UINT64_C(2) << 32)

struct entry {
    _Atomic uint64_t key;      /* 0: free                                                   */
    _Atomic uint64_t until_ns; /* locked before this instant                               */
    _Atomic bool by_hand;
    uint8_t count; /* of failures below, oldest first                           */
    uint32_t steps[GW_LOCKOUT_FAILURES_MAX];
    uint32_t tags[GW_LOCKOUT_FAILURES_MAX];
};

struct set {
    _Alignas(GW_CACHE_LINE) atomic_flag busy;
    struct entry entries[GW_LOCKOUT_WAYS];
};

struct gw_lockout {
    struct gw_lockout_options options;
    uint32_t sets_each; /* of IPv4; as many follow of IPv6 */
    _Atomic uint64_t overflows;
    struct set *sets;
};

/* ---- sources ---- */

struct gw_source gw_source_v4(const uint8_t address[4])
{
    return (struct gw_source){.key = KEY_V4 | gw_load_be32(address)};
}

struct gw_source gw_source_v6(const uint8_t address[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}; /* RFC 4291 2.5.5.2 */
    static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};    /* RFC 6052 2.1     */
    uint64_t prefix = (uint64_t)gw_load_be32(address) << 32 | gw_load_be32(address + 4);

    if (memcmp(address, mapped, sizeof mapped) == 0 || memcmp(address, nat64, sizeof nat64) == 0)
        return gw_source_v4(address + 12);
    return (struct gw_source){.key = prefix == 0 ? KEY_ZERO_64 : prefix};
}

struct gw_source gw_source_number(uint32_t number)
{
    return (struct gw_source){.key = KEY_V4 | number};
}

static bool is_v4(struct gw_source source)
{
    return source.key >> 32 == KEY_V4 >> 32;
}

void gw_source_text(struct gw_source source, char out[GW_SOURCE_TEXT_BYTES])
{
    uint64_t prefix = source.key == KEY_ZERO_64 ? 0 : source.key;
    char text[INET6_ADDRSTRLEN] = "";
    uint8_t address[16] = {0};

    if (is_v4(source)) {
        gw_store_be32(address, (uint32_t)source.key);
        (void)inet_ntop(AF_INET, address, text, sizeof text);
        (void)snprintf(out, GW_SOURCE_TEXT_BYTES, "%s", text);
        return;
    }
    gw_store_be32(address, (uint32_t)(prefix >> 32));
    gw_store_be32(address + 4, (uint32_t)prefix);
    (void)inet_ntop(AF_INET6, address, text, sizeof text);
    (void)snprintf(out, GW_SOURCE_TEXT_BYTES, "%s/64", text);
}

bool gw_source_parse(const char *text, struct gw_source *out)
{
    size_t bytes = strlen(text);
    char bare[INET6_ADDRSTRLEN];
    uint8_t address[16];

    if (bytes > 3 && strcmp(text + bytes - 3, "/64") == 0 && strchr(text, ':') != NULL)
        bytes -= 3;
    if (bytes >= sizeof bare)
        return false;
    memcpy(bare, text, bytes);
    bare[bytes] = '\0';
    if (inet_pton(AF_INET, bare, address) == 1)
        *out = gw_source_v4(address);
    else if (inet_pton(AF_INET6, bare, address) == 1)
        *out = gw_source_v6(address);
    else
        return false;
    return true;
}

/* ---- memory ---- */

static uint32_t sets_for(uint32_t sources)
{
    return (sources + GW_LOCKOUT_WAYS - 1) / GW_LOCKOUT_WAYS;
}

uint64_t gw_lockout_bytes(uint32_t sources)
{
    return 2 * (uint64_t)sets_for(sources) * sizeof(struct set);
}

int gw_lockout_create(const struct gw_lockout_options *options, struct gw_lockout **out)
{
    struct gw_lockout *lockout = calloc(1, sizeof *lockout);
    void *sets;

    gw_assert(options->failures >= 1 && options->failures <= GW_LOCKOUT_FAILURES_MAX);
    gw_assert(options->sources > 0 && options->window_s > 0);
    *out = NULL;
    if (lockout == NULL)
        return -ENOMEM;
    lockout->options = *options;
    lockout->sets_each = sets_for(options->sources);
    /* Pages are touched as sources fail. */
    sets = mmap(NULL, gw_lockout_bytes(options->sources), PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (sets == MAP_FAILED) {
        free(lockout);
        return -ENOMEM;
    }
    lockout->sets = sets;
    *out = lockout;
    return 0;
}

void gw_lockout_destroy(struct gw_lockout *lockout)
{
    if (lockout == NULL)
        return;
    (void)munmap(lockout->sets, gw_lockout_bytes(lockout->options.sources));
    free(lockout);
}

/* ---- sets ---- */

static struct set *set_of(const struct gw_lockout *lockout, struct gw_source source)
{
    uint64_t hash = source.key ^ lockout->options.seed;
    uint32_t set;

    hash = (hash ^ hash >> 30) * UINT64_C(0xBF58476D1CE4E5B9); /* the finalizer of splitmix64 */
    hash = (hash ^ hash >> 27) * UINT64_C(0x94D049BB133111EB);
    set = (uint32_t)(((hash ^ hash >> 31) >> 32) * lockout->sets_each >> 32);
    return &lockout->sets[set + (is_v4(source) ? 0 : lockout->sets_each)];
}

static void take(struct set *set)
{
    while (atomic_flag_test_and_set_explicit(&set->busy, memory_order_acquire))
        (void)sched_yield(); /* its holder was interrupted between two instructions */
}

static void leave(struct set *set)
{
    atomic_flag_clear_explicit(&set->busy, memory_order_release);
}

static uint64_t until_of(const struct entry *entry)
{
    return atomic_load_explicit(&entry->until_ns, memory_order_acquire);
}

static bool is_locked(const struct entry *entry, struct gw_instant now)
{
    return until_of(entry) > now.ns;
}

static struct entry *find(struct set *set, struct gw_source source)
{
    for (size_t i = 0; i < GW_LOCKOUT_WAYS; i++)
        if (atomic_load_explicit(&set->entries[i].key, memory_order_acquire) == source.key)
            return &set->entries[i];
    return NULL;
}

static uint32_t step_of(struct gw_instant now)
{
    return (uint32_t)(now.ns / STEP_NS);
}

/* Failures that lie further back than the window. */
static void forget_old(const struct gw_lockout *lockout, struct entry *entry, uint32_t step)
{
    uint32_t window = lockout->options.window_s * STEPS_PER_S;
    uint8_t old = 0;

    while (old < entry->count && step - entry->steps[old] >= window)
        old++;
    if (old == 0)
        return;
    entry->count = (uint8_t)(entry->count - old);
    memmove(entry->steps, entry->steps + old, entry->count * sizeof entry->steps[0]);
    memmove(entry->tags, entry->tags + old, entry->count * sizeof entry->tags[0]);
}

/* Is `a` to be forgotten rather than `b`? Neither is locked. */
static bool is_lesser(const struct entry *a, const struct entry *b)
{
    if (a->count != b->count)
        return a->count < b->count;
    return a->count > 0 && a->steps[a->count - 1] < b->steps[b->count - 1];
}

/* I2 */
static void rename_entry(struct entry *entry, struct gw_source source)
{
    atomic_store_explicit(&entry->until_ns, 0, memory_order_release);
    atomic_store_explicit(&entry->key, source.key, memory_order_release);
    atomic_store_explicit(&entry->by_hand, false, memory_order_release);
    entry->count = 0;
}

/* The source's entry, made if need be; NULL: all are locked. */
static struct entry *entry_for(const struct gw_lockout *lockout, struct set *set,
                               struct gw_source source, struct gw_instant now)
{
    struct entry *entry = find(set, source), *least = NULL;

    if (entry != NULL)
        return entry;
    for (size_t i = 0; i < GW_LOCKOUT_WAYS; i++) {
        entry = &set->entries[i];
        if (is_locked(entry, now)) /* I3 */
            continue;
        forget_old(lockout, entry, step_of(now));
        if (least == NULL || is_lesser(entry, least))
            least = entry;
    }
    if (least != NULL)
        rename_entry(least, source);
    return least;
}

static void lock_entry(struct entry *entry, bool by_hand, struct gw_instant until)
{
    entry->count = 0; /* afterwards it takes as many again */
    atomic_store_explicit(&entry->by_hand, by_hand, memory_order_release);
    atomic_store_explicit(&entry->until_ns, until.ns, memory_order_release);
}

/* ---- logins ---- */

enum gw_lockout_state gw_lockout_look(const struct gw_lockout *lockout, struct gw_source source,
                                      struct gw_instant now)
{
    const struct entry *entry = find(set_of(lockout, source), source);

    if (entry == NULL || !is_locked(entry, now))
        return GW_LOCKOUT_OPEN;
    bool by_hand = atomic_load_explicit(&entry->by_hand, memory_order_acquire);

    if (atomic_load_explicit(&entry->key, memory_order_acquire) != source.key) /* I2 */
        return GW_LOCKOUT_OPEN;
    return by_hand || lockout->options.profile == GW_LOCKOUT_LITERAL ? GW_LOCKOUT_SHUT
                                                                     : GW_LOCKOUT_GUARDED;
}

/* Is this failure one that counts? */
static bool counts(const struct gw_lockout *lockout, const struct entry *entry, uint32_t tag)
{
    if (lockout->options.profile == GW_LOCKOUT_NAT)
        for (uint8_t i = 0; i < entry->count; i++)
            if (entry->tags[i] == tag)
                return false;
    return true;
}

static enum gw_lockout_failure fail(struct gw_lockout *lockout, struct set *set,
                                    struct gw_source source, uint32_t tag, struct gw_instant now)
{
    struct entry *entry = entry_for(lockout, set, source, now);

    if (entry == NULL) {
        atomic_fetch_add_explicit(&lockout->overflows, 1, memory_order_relaxed);
        return GW_LOCKOUT_COUNTED;
    }
    if (is_locked(entry, now))
        return GW_LOCKOUT_LOCKED;
    forget_old(lockout, entry, step_of(now));
    if (!counts(lockout, entry, tag))
        return GW_LOCKOUT_COUNTED;
    gw_assert(entry->count < lockout->options.failures);
    entry->steps[entry->count] = step_of(now);
    entry->tags[entry->count] = tag;
    if (++entry->count < lockout->options.failures)
        return GW_LOCKOUT_COUNTED;
    lock_entry(entry, false, gw_instant_after(now, lockout->options.lock_s * GW_NS_PER_S));
    return GW_LOCKOUT_LOCKED_NOW;
}

enum gw_lockout_failure gw_lockout_fail(struct gw_lockout *lockout, struct gw_source source,
                                        uint32_t tag, struct gw_instant now)
{
    struct set *set = set_of(lockout, source);
    enum gw_lockout_failure failure;

    if (lockout->options.profile == GW_LOCKOUT_OFF)
        return GW_LOCKOUT_COUNTED;
    take(set);
    failure = fail(lockout, set, source, tag, now);
    leave(set);
    return failure;
}

/* ---- by hand ---- */

int gw_lockout_ban(struct gw_lockout *lockout, struct gw_source source, struct gw_instant now,
                   uint32_t seconds)
{
    struct set *set = set_of(lockout, source);
    struct entry *entry;

    take(set);
    entry = entry_for(lockout, set, source, now);
    for (size_t i = 0; entry == NULL && i < GW_LOCKOUT_WAYS; i++)
        if (!atomic_load_explicit(&set->entries[i].by_hand, memory_order_relaxed)) {
            entry = &set->entries[i]; /* I3 */
            rename_entry(entry, source);
        }
    if (entry != NULL)
        lock_entry(entry, true, gw_instant_after(now, seconds * GW_NS_PER_S));
    leave(set);
    return entry == NULL ? -ENOSPC : 0;
}

bool gw_lockout_unban(struct gw_lockout *lockout, struct gw_source source, struct gw_instant now)
{
    struct set *set = set_of(lockout, source);
    struct entry *entry;
    bool locked;

    take(set);
    entry = find(set, source);
    locked = entry != NULL && is_locked(entry, now);
    if (entry != NULL)
        rename_entry(entry, source);
    leave(set);
    return locked;
}

uint32_t gw_lockout_list(const struct gw_lockout *lockout, struct gw_instant now,
                         struct gw_lockout_row *rows, uint32_t capacity)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < 2 * lockout->sets_each; i++)
        for (size_t k = 0; k < GW_LOCKOUT_WAYS; k++) {
            const struct entry *entry = &lockout->sets[i].entries[k];
            struct gw_source source = {.key =
                                           atomic_load_explicit(&entry->key, memory_order_acquire)};
            uint64_t until = until_of(entry);

            if (until <= now.ns)
                continue;
            if (count < capacity)
                rows[count] = (struct gw_lockout_row){
                    .source = source,
                    .seconds_left = (uint32_t)((until - now.ns + GW_NS_PER_S - 1) / GW_NS_PER_S),
                    .by_hand = atomic_load_explicit(&entry->by_hand, memory_order_acquire)};
            count++;
        }
    return count;
}

uint64_t gw_lockout_overflows(const struct gw_lockout *lockout)
{
    return atomic_load_explicit(&lockout->overflows, memory_order_relaxed);
}
