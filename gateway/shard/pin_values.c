/*
 * Last values and initial ones as one. The datastreams of a product are few neighbours in the
 * index: they are walked once for a question about all pins, and looked up for one about a pin that
 * was never written.
 */
#include "pin_values.h"

#include <errno.h>
#include <string.h>

#include <gw/token/details.h>

enum { PINS = UINT8_MAX + 1 };

struct streams {
    bool any;
    bool initial[PINS], marked[PINS];
};

struct walk {
    const struct pin_source *source;
    struct streams streams;
    enum pin_choice choice;
    uint32_t next; /* the first pin that was not looked at */
    bool (*visit)(void *context, const struct gw_value *value);
    void *context;
    bool ended; /* visit said so, or err */
    int err;
};

static int initial_of(const struct pin_source *source, uint8_t pin, struct gw_value *out)
{
    struct gw_stream stream;
    int err = gw_index_stream(source->index, source->product, pin, &stream);

    if (err == -ENODATA || (err == 0 && stream.initial.size == 0))
        return -ENOENT;
    if (err == 0)
        *out = (struct gw_value){.bank = 'v', .pin = pin, .bytes = stream.initial};
    return err;
}

int pin_value_get(const struct pin_source *source, char bank, uint8_t pin, struct gw_value *out)
{
    int err = gw_values_get(source->values, source->device, bank, pin, out);

    return err == -ENOENT && bank == 'v' ? initial_of(source, pin, out) : err;
}

static int read_streams(const struct pin_source *source, struct streams *out)
{
    const struct gw_index_view *view = gw_index_reader_view(source->index);
    struct gw_stream stream;
    int pin = -1, err;

    memset(out, 0, sizeof *out);
    if (view == NULL)
        return -EIO;
    while ((err = gw_catalog_stream_next(view, source->product, pin, &stream)) == 0) {
        pin = stream.pin;
        out->any = true;
        out->initial[pin] = stream.initial.size > 0;
        out->marked[pin] = stream.sync;
    }
    return err == -ENOENT ? 0 : err;
}

static bool is_chosen(const struct walk *walk, uint32_t pin)
{
    return walk->choice == PINS_ALL || walk->streams.marked[pin] ||
           (walk->choice == PINS_SYNCED && !walk->streams.any);
}

/* Pins below `end` that were passed over have no other value than their initial one. */
static void visit_initial(struct walk *walk, uint32_t end)
{
    for (; walk->next < end && !walk->ended; walk->next++) {
        struct gw_value value;

        if (!walk->streams.initial[walk->next] || !is_chosen(walk, walk->next))
            continue;
        walk->err = initial_of(walk->source, (uint8_t)walk->next, &value);
        walk->ended = walk->err != 0 || !walk->visit(walk->context, &value);
    }
}

static bool on_written(void *context, const struct gw_value *value)
{
    struct walk *walk = context;

    visit_initial(walk, value->pin);
    if (walk->ended)
        return false;
    walk->next = value->pin + 1u;
    walk->ended = is_chosen(walk, value->pin) && !walk->visit(walk->context, value);
    return !walk->ended;
}

int pin_values_each(const struct pin_source *source, uint8_t from, enum pin_choice choice,
                    bool (*visit)(void *context, const struct gw_value *value), void *context)
{
    struct walk walk = {
        .source = source, .choice = choice, .next = from, .visit = visit, .context = context};
    int err = read_streams(source, &walk.streams);

    if (err == 0)
        err = gw_values_each(source->values, source->device, 'v', from, on_written, &walk);
    if (err == 0)
        visit_initial(&walk, PINS);
    return err != 0 ? err : walk.err;
}
