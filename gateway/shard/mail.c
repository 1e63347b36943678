/*
 * Messages between shards: a bounded queue for each ordered pair, woken through the ring.
 *
 * A login is answered at once and sends its claim; the owner orders the claims of a device and
 * tells the loser. Claims come by a queue for each shard, so that of two logins in a short time the
 * later one may be heard of first: they carry their time. A claim that finds its queue full fails
 * the login; a release waits, in the session that owes it, until there is room.
 *
 * A login may be judged by an older state of the index than its device's owner has acted upon. The
 * claim says which, and then the owner has it judged again: so no change falls between a look-up
 * and its claim (revoke.c).
 */
#include "shard_internal.h"

static void handle(struct gw_shard *sh, const struct mail *mail);

static bool send_to(struct gw_shard *sh, uint32_t shard, const struct mail *mail)
{
    struct gw_shard *to = sh->peers[shard];

    if (!gw_spsc_push(&to->mailboxes[sh->options.number], mail))
        return false;
    gw_ring_wake_from(sh->ring, to->ring);
    return true;
}

bool mail_send(struct gw_shard *sh, uint32_t shard, const struct mail *mail)
{
    if (shard != sh->options.number)
        return send_to(sh, shard, mail);
    handle(sh, mail);
    return true;
}

struct gw_session *live_at(const struct gw_shard *sh, const struct place *place)
{
    gw_assert(place->slot < sh->sessions.slot_count);
    if (!gw_slab_is_taken(&sh->sessions, place->slot))
        return NULL;
    struct gw_session *s = session_at(sh, place->slot);
    bool same = (s->generation & GW_OP_GENERATION_MASK) == place->generation;

    return same && s->state == GW_SESSION_LIVE ? s : NULL;
}

static void close_at(struct gw_shard *sh, const struct place *place, enum gw_close_reason reason)
{
    struct gw_session *s = live_at(sh, place);

    if (s == NULL)
        return;
    if (reason == GW_CLOSE_REPLACED)
        COUNT(sh, replaced);
    close_session(sh, s, reason);
    retire_if_quiet(sh, s);
}

/* Its queue is only ever full when that shard has not run for MAIL_PER_PAIR messages; the answer
   then waits in this shard. */
void mail_send_late(struct gw_shard *sh, const struct mail *mail)
{
    if (mail_send(sh, mail->place.shard, mail))
        return;
    gw_assert(sh->mail_late_count < GW_ARRAY_COUNT(sh->mail_late));
    sh->mail_late[sh->mail_late_count++] = *mail;
}

enum { HEARD_S = 10 }; /* by then every claim of that time has come, and at_us has not wrapped */

/* Is there a later login of the device, of which was heard before? */
static bool is_overtaken(struct gw_shard *sh, uint32_t device, uint32_t at_us)
{
    struct heard_claim *newest =
        &sh->heard_claims[device / sh->options.count % GW_ARRAY_COUNT(sh->heard_claims)];

    if (newest->device == device && (int32_t)(at_us - newest->at_us) < 0 &&
        gw_ns_between(newest->heard, now_of(sh)) < HEARD_S * GW_NS_PER_S &&
        directory_find(&sh->directory, device).device != 0)
        return true;
    *newest = (struct heard_claim){.device = device, .at_us = at_us, .heard = now_of(sh)};
    return false;
}

static void on_claim(struct gw_shard *sh, const struct place *place, uint32_t at_us, uint32_t known)
{
    struct place before;

    if (is_overtaken(sh, place->device, at_us)) {
        mail_send_late(sh, &(struct mail){.kind = MAIL_EVICT, .place = *place});
        return;
    }
    if (!directory_claim(&sh->directory, *place, &before)) {
        mail_send_late(sh, &(struct mail){.kind = MAIL_REFUSE, .place = *place});
        return;
    }
    if (before.device != 0) /* a lost eviction would leave two live sessions for one token */
        mail_send_late(sh, &(struct mail){.kind = MAIL_EVICT, .place = before});
    if ((int32_t)((uint32_t)sh->changes_seen - known) > 0)
        mail_send_late(
            sh,
            &(struct mail){.kind = MAIL_RECHECK, .changed_ms = sh->changed_ms, .place = *place});
}

static void on_ask(struct gw_shard *sh, const struct place *asker)
{
    struct mail answer = {.kind = MAIL_TELL,
                          .connected = directory_find(&sh->directory, asker->device).device != 0,
                          .place = *asker};

    mail_send_late(sh, &answer);
}

static void handle(struct gw_shard *sh, const struct mail *mail)
{
    switch (mail->kind) {
    case MAIL_CLAIM:
        on_claim(sh, &mail->place, mail->at_us, mail->judged_by);
        break;
    case MAIL_RELEASE:
        directory_release(&sh->directory, mail->place);
        break;
    case MAIL_EVICT:
        close_at(sh, &mail->place, GW_CLOSE_REPLACED);
        break;
    case MAIL_REFUSE:
        close_at(sh, &mail->place, GW_CLOSE_NO_MEMORY);
        break;
    case MAIL_RECHECK:
        recheck_place(sh, &mail->place, mail->changed_ms);
        break;
    case MAIL_ASK:
        on_ask(sh, &mail->place);
        break;
    case MAIL_TELL:
        http_told(sh, &mail->place, mail->connected);
        break;
    }
}

static void send_late(struct gw_shard *sh)
{
    uint32_t late = sh->mail_late_count;

    sh->mail_late_count = 0;
    for (uint32_t i = 0; i < late; i++)
        if (!mail_send(sh, sh->mail_late[i].place.shard, &sh->mail_late[i]))
            sh->mail_late[sh->mail_late_count++] = sh->mail_late[i];
}

bool mail_has_room(const struct gw_shard *sh)
{
    return sh->mail_late_count < MAIL_LATE_MAX / 2;
}

/* Every push is followed by a wake, so without one there is nothing new to look for in the boxes:
   with many shards they are many cache lines. */
void mail_read_all(struct gw_shard *sh)
{
    struct mail mail;

    if (sh->mail_late_count > 0)
        send_late(sh);
    if (!sh->mail_arrived || sh->peers == NULL)
        return;
    sh->mail_arrived = false;
    for (uint32_t from = 0; from < sh->options.count; from++) {
        if (from == sh->options.number)
            continue;
        uint32_t n = 0;

        while (n < MAIL_PER_PAIR && mail_has_room(sh) && gw_spsc_pop(&sh->mailboxes[from], &mail)) {
            handle(sh, &mail);
            n++;
        }
        if (n == MAIL_PER_PAIR || !mail_has_room(sh))
            sh->mail_arrived = true; /* there may be more: next turn */
    }
}

bool mail_is_due(const struct gw_shard *sh)
{
    return sh->mail_arrived || sh->mail_late_count > 0;
}

bool mail_waits(const struct gw_shard *sh)
{
    if (mail_is_due(sh))
        return true;
    for (uint32_t from = 0; from < sh->options.count && sh->peers != NULL; from++)
        if (from != sh->options.number && gw_spsc_count(&sh->mailboxes[from]) > 0)
            return true;
    return false;
}
