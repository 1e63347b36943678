/*
 * What a frame asks of the index besides a login: the device's time zone, its metadata, whether its
 * product has an event. One look-up each, in the turn's transaction.
 *
 * An index that cannot be read costs a device no update: an event that might be known is taken. A
 * question gets no answer then, and clients ask again.
 */
#include "shard_internal.h"

#include <errno.h>

const struct gw_zone *zone_of(struct gw_shard *sh, uint32_t device)
{
    const struct gw_zone *zone = NULL;
    struct gw_bytes name;
    const int err = gw_index_zone(sh->reader, device, &name);

    if (err == -ENOENT)
        return gw_zone_utc();
    if (err == 0)
        zone = gw_zones_find(sh->options.zones, name);
    if (zone == NULL)
        COUNT(sh, zones_unknown);
    return zone;
}

void tell_time(struct gw_shard *sh, const struct gw_session *s, const struct gw_frame *frame,
               struct gw_session_todo *todo)
{
    gw_session_time(frame, zone_of(sh, s->device), gw_ring_wall_us(sh->ring), sh->answer, todo);
}

void tell_field(struct gw_shard *sh, const struct gw_session *s, struct gw_session_todo *todo)
{
    struct gw_bytes value;
    const int err = gw_index_field(sh->reader, s->device, todo->asked, &value);

    gw_session_field(cold_of(sh, s), todo->asked, err == 0 ? &value : NULL, sh->answer, todo);
}

void check_event(struct gw_shard *sh, const struct gw_session *s, struct gw_session_todo *todo)
{
    struct gw_bytes name;

    if (gw_index_event(sh->reader, cold_of(sh, s)->product, todo->asked, &name) == -ENOENT)
        gw_session_event_unknown(todo);
}
