/*
 * What is written to a device by others than itself: a program on the control socket, another
 * device. The device's owner records it before it goes on, whether the device is connected or not;
 * what could not be recorded is not delivered. What HTTP writes in a device's name is recorded by
 * the connection that brought it, and passes here without.
 *
 * Such records belong to no login. Those of one shard are one session, with the records of many
 * devices: (device, session, sequence) names a record all the same.
 */
#include "shard_internal.h"

bool record_written(struct gw_shard *sh, struct gw_downlink *downlink)
{
    struct gw_pin_write write;
    enum gw_hardware kind = gw_hardware_parse(downlink->frame.body, &write);

    gw_assert(kind == GW_HARDWARE_WRITE); /* or nobody had asked for it to be recorded */
    if (!lane_has_room(sh))
        return false;
    if (sh->written_sequence == 0 || sh->written_sequence == UINT32_MAX) {
        sh->written_epoch = epoch_of(sh, sh->login_count++);
        sh->written_sequence = 0;
    }
    struct gw_record record = {
        .device = downlink->device,
        .session = sh->written_epoch,
        .time_us = gw_ring_wall_us(sh->ring),
        .sequence = ++sh->written_sequence,
        .msg_id = downlink->frame.msg_id,
        .kind = GW_RECORD_PIN_WRITE,
        .bank = write.bank,
        .pin = write.pin,
        .flags = downlink->recorded_as,
        .pin_count = 1,
        .value = write.value,
    };

    downlink->kept_at = gw_lane_append(sh->lane, &record, record.time_us, now_of(sh));
    downlink->kept_by = sh->options.number;
    COUNT(sh, updates);
    return true;
}
