/*
 * Provisioning's last step, in the writer's transaction: a device is bound to the product that it
 * named, and its token becomes a token like any other.
 */
#include "writer_internal.h"

#include <errno.h>

/* A look-up's -ENOENT is an answer; its other errors spoil the transaction. */
static int looked_up(struct gw_index_writer *writer, int err)
{
    return err == -ENOENT ? err : gw_writer_fail(writer, err);
}

int gw_index_device_bind(struct gw_index_writer *writer, uint32_t number, struct gw_bytes product)
{
    struct gw_product_row own, target;
    struct gw_device_row device;
    uint32_t target_number;
    int err;

    if (product.size == 0 || product.size > GW_PRODUCT_ID_BYTES_MAX)
        return -ENOENT;
    if ((err = looked_up(writer, gw_view_device(&writer->view, number, &device))) != 0 ||
        (err = looked_up(writer, gw_view_product(&writer->view, device.product, &own))) != 0 ||
        (err = looked_up(writer, gw_view_number(&writer->view, GW_TABLE_PRODUCT_IDS, product,
                                                &target_number))) != 0 ||
        (err = looked_up(writer, gw_view_product(&writer->view, target_number, &target))) != 0)
        return err;
    if ((own.flags & GW_PRODUCT_PROVISIONS) == 0)
        return device.product == target_number ? 0 : -EPERM;
    if (target.org != device.org || target.closed || (target.flags & GW_PRODUCT_PROVISIONS) != 0)
        return -ENOENT;
    if (device.disabled || !device.has_token)
        return -EPERM;
    err = gw_index_device_move(writer, number, target_number);
    return err != 0 ? err : gw_index_token_window(writer, number, 0, 0);
}
