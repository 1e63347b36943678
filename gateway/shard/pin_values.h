/*
 * The value that a pin has for whoever asks: the last one that was written, else the initial one of
 * its datastream. Where the product has datastreams, they also say which pins a device is given
 * that asks for all.
 */
#ifndef GW_SHARD_PIN_VALUES_H
#define GW_SHARD_PIN_VALUES_H

#include <gw/token/index.h>
#include <gw/values/values.h>

struct pin_source {
    struct gw_values_reader *values; /* NULL: last values are off, and nothing may be asked */
    struct gw_index_reader *index;
    uint32_t device, product;
};

/*
 * 0 with *out filled, its bytes valid until the turn ends; -ENOENT when the pin has no value;
 * another -errno when that cannot be told. An initial value has neither time nor origin.
 */
GW_MUST_USE int pin_value_get(const struct pin_source *source, char bank, uint8_t pin,
                              struct gw_value *out);

enum pin_choice {
    PINS_ALL,
    PINS_SYNCED, /* those marked for it; of a product without datastreams all */
    PINS_MARKED, /* those marked, and no others                               */
};

/*
 * Visits the virtual pins that have a value, from pin `from` on, in ascending order, until `visit`
 * says false. 0 or -errno.
 */
GW_MUST_USE int pin_values_each(const struct pin_source *source, uint8_t from,
                                enum pin_choice choice,
                                bool (*visit)(void *context, const struct gw_value *value),
                                void *context);

#endif
