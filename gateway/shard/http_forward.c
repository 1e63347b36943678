/*
 * What is written to a pin over HTTP goes to its device as well, if that is connected: recorded
 * first, then passed on as any message to a device (downlink.c), within what the device takes. One
 * that takes no more at the moment is told the pin's last value later (owed.c). The request's
 * answer does not depend on it and does not wait: it says that the value is on disk, where the
 * device finds it with its next HARDWARE_SYNC.
 */
#include "shard_internal.h"

static void on_forwarded(struct gw_shard *sh, const struct downlink_origin *origin,
                         enum gw_downlink_result result)
{
    (void)origin; /* nobody waits for it */
    if (result == GW_DOWNLINK_DELIVERED)
        COUNT(sh, http_writes_delivered);
    else if (result != GW_DOWNLINK_OWED)
        COUNT(sh, http_writes_undelivered);
}

void http_forward(struct gw_shard *sh, const struct gw_session *s, const struct gw_record *record)
{
    struct downlink_origin origin = {.slot = slot_of(sh, s),
                                     .generation = s->generation,
                                     .kept_at = cold_of(sh, s)->updates_at,
                                     .done = on_forwarded};
    uint8_t body[GW_HARDWARE_HEAD_BYTES_MAX + HTTP_VALUE_BYTES_MAX];
    size_t head_bytes = gw_hardware_head(body, record->bank, record->pin);
    struct gw_frame frame = {.type = GW_FRAME_HARDWARE,
                             .body = gw_bytes_of(body, head_bytes + record->value.size)};
    enum gw_downlink_result result;

    gw_assert(frame.body.size <= sizeof body);
    memcpy(body + head_bytes, record->value.data, record->value.size);
    result = downlink_send(sh, &origin, s->device, &frame);
    if (result != GW_DOWNLINK_UNDER_WAY)
        on_forwarded(sh, &origin, result);
}
