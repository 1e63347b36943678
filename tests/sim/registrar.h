/*
 * Who changes the token index while gateways serve from it: disables devices, takes their tokens
 * away or draws new ones, closes products, moves devices from one to the other, and undoes most of
 * it. After a while it tells the shards, as the control thread does.
 *
 * Held true: once every shard was told and has done what it had to do, no session lives by a token
 * that was taken away.
 */
#ifndef SIM_REGISTRAR_H
#define SIM_REGISTRAR_H

#include <gw/token/writer.h>

#include "life.h"
#include "tokens.h"

/* Made once, of TOKENS_MAX devices; every world begins with it as it was then. */
struct registry {
    struct gw_index *index;
    struct gw_index_writer *writer;
    struct world_tokens tokens;
};

/* In a folder that is there. False: it said why. */
bool registry_make(struct registry *registry, const char *path);
void registry_close(struct registry *registry);

enum { LOSSES_MAX = 8, ASKING_MAX = 4 };

struct registrar {
    struct registry *registry;
    struct world_tokens *tokens; /* of this world */
    struct life *life;
    struct chance *chance;
    struct gw_index_reader *reader; /* the control thread's */
    uint64_t committed, told;       /* changes of the index */
    bool hasty; /* many changes, told at once, and most of them of who is about to log in */
    uint32_t asking[ASKING_MAX], asking_count; /* tokens of the latest */
    struct loss {
        uint32_t device; /* 0: none                                       */
        uint64_t change; /* that took something from it                   */
        uint64_t committed_ns;
        /* Since all were told: in a round, each shard turns or has nothing to do. */
        uint32_t rounds;
        bool turned[SHARDS_MAX];
    } losses[LOSSES_MAX];
    uint32_t next_loss;
    uint64_t changes; /* made in this world */
};

void registrar_begin_world(struct registrar *registrar);
void registrar_end_world(struct registrar *registrar);
/* Somebody logs in with this token. */
void registrar_hears_of(struct registrar *registrar, uint32_t token);
/* A gateway has begun. */
void registrar_begin_life(struct registrar *registrar);
/* Changes something, if it may, now and then; tells the shards what was changed. */
void registrar_step(struct registrar *registrar, bool may_change);
/* Changes something, now that all is calm. */
void registrar_last_word(struct registrar *registrar);
/* A shard has turned. */
void registrar_turned(struct registrar *registrar, uint32_t shard);
/* Has every shard done all it can, then nobody lives who must not. */
void registrar_check(struct registrar *registrar, bool (*is_awake)(void *context, uint32_t shard),
                     void *context);

#endif
