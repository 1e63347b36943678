/*
 * Does a value suit a datastream? Numbers are read here and not by strtod, which asks the locale
 * what a point looks like and takes more than we do: hexadecimal, infinities, blanks in front.
 */
#include <gw/token/details.h>

#include <math.h>
#include <string.h>

static const char *const words[] = {
    [GW_STREAM_INT] = "int",   [GW_STREAM_DOUBLE] = "double",     [GW_STREAM_STRING] = "string",
    [GW_STREAM_ENUM] = "enum", [GW_STREAM_LOCATION] = "location",
};

const char *gw_stream_type_word(enum gw_stream_type type)
{
    return words[type];
}

bool gw_stream_type_of(const char *word, enum gw_stream_type *out)
{
    for (int i = GW_STREAM_INT; i <= GW_STREAM_LOCATION; i++)
        if (strcmp(words[i], word) == 0) {
            *out = (enum gw_stream_type)i;
            return true;
        }
    return false;
}

static bool take_digit(struct gw_bytes *text, unsigned *out)
{
    if (text->size == 0 || text->data[0] < '0' || text->data[0] > '9')
        return false;
    *out = (unsigned)(text->data[0] - '0');
    *text = gw_bytes_after(*text, 1);
    return true;
}

static bool take_byte(struct gw_bytes *text, uint8_t byte)
{
    if (text->size == 0 || text->data[0] != byte)
        return false;
    *text = gw_bytes_after(*text, 1);
    return true;
}

static bool take_sign(struct gw_bytes *text)
{
    const bool negative = take_byte(text, '-');

    if (!negative)
        (void)take_byte(text, '+');
    return negative;
}

/* The digits of a number: as many as fit an integer, and the power of ten that it lacks. */
struct decimal {
    uint64_t value;
    int power;
    bool any;
};

static void take_digits(struct gw_bytes *text, bool behind_point, struct decimal *out)
{
    unsigned digit;

    while (take_digit(text, &digit)) {
        const bool room = out->value <= (UINT64_MAX - 9) / 10;

        out->any = true;
        if (room)
            out->value = out->value * 10 + digit;
        out->power += room ? -(int)behind_point : (int)!behind_point;
    }
}

static bool take_exponent(struct gw_bytes *text, int *out)
{
    const bool negative = take_sign(text);
    unsigned digit;
    int value = 0;
    bool any = false;

    for (; take_digit(text, &digit); any = true)
        value = value < 10000 ? value * 10 + (int)digit : value;
    *out = negative ? -value : value;
    return any;
}

/* By a power of ten: exact up to 15 digits and a power of 22; beyond, but for the last bits. */
static void scale(double *value, int power)
{
    enum { EXACT = 22 };

    while (power != 0 && *value != 0 && isfinite(*value)) {
        const int left = power < 0 ? -power : power;
        const int step = left < EXACT ? left : EXACT;
        double ten = 1;

        for (int i = 0; i < step; i++)
            ten *= 10;
        *value = power < 0 ? *value / ten : *value * ten;
        power += power < 0 ? step : -step;
    }
}

bool gw_stream_number(struct gw_bytes text, double *out)
{
    struct decimal decimal = {0};
    const bool negative = take_sign(&text);
    int exponent = 0;
    double value;

    take_digits(&text, false, &decimal);
    if (take_byte(&text, '.'))
        take_digits(&text, true, &decimal);
    if (!decimal.any ||
        ((take_byte(&text, 'e') || take_byte(&text, 'E')) && !take_exponent(&text, &exponent)))
        return false;
    value = (double)decimal.value;
    scale(&value, exponent + decimal.power);
    *out = negative ? -value : value;
    return text.size == 0 && isfinite(value);
}

static bool is_whole(double number)
{
    /* Beyond 2^53 a double has no part behind the point. */
    return number < -0x1p53 || number > 0x1p53 || number == (double)(int64_t)number;
}

static enum gw_stream_fit check_number(const struct gw_stream *stream, struct gw_bytes value)
{
    double number;

    if (!gw_stream_number(value, &number) ||
        (stream->type != GW_STREAM_DOUBLE && !is_whole(number)))
        return GW_STREAM_WRONG_TYPE;
    if ((stream->has_min && number < stream->min) || (stream->has_max && number > stream->max))
        return GW_STREAM_NOT_WITHIN;
    return GW_STREAM_FITS;
}

static enum gw_stream_fit check_location(struct gw_bytes value)
{
    const uint8_t *cut = value.size == 0 ? NULL : memchr(value.data, '\0', value.size);
    double longitude, latitude;
    size_t bytes;

    if (cut == NULL)
        return GW_STREAM_WRONG_TYPE;
    bytes = (size_t)(cut - value.data);
    if (!gw_stream_number(gw_bytes_of(value.data, bytes), &longitude) ||
        !gw_stream_number(gw_bytes_after(value, bytes + 1), &latitude))
        return GW_STREAM_WRONG_TYPE;
    return longitude >= -180 && longitude <= 180 && latitude >= -90 && latitude <= 90
               ? GW_STREAM_FITS
               : GW_STREAM_NOT_WITHIN;
}

enum gw_stream_fit gw_stream_check(const struct gw_stream *stream, struct gw_bytes value)
{
    switch (stream->type) {
    case GW_STREAM_INT:
    case GW_STREAM_DOUBLE:
    case GW_STREAM_ENUM:
        return check_number(stream, value);
    case GW_STREAM_STRING:
        return value.size <= GW_STREAM_STRING_BYTES_MAX ? GW_STREAM_FITS : GW_STREAM_WRONG_TYPE;
    case GW_STREAM_LOCATION:
        return check_location(value);
    }
    return GW_STREAM_WRONG_TYPE;
}
