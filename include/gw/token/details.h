/*
 * Details of products and devices that are optional: the datastreams and event codes of a product
 * and the numbers of its devices' metadata fields, these fields and the time zone of a device. They
 * stand in the index beside the rows that logins need, and any index has room for them, whichever
 * version made it.
 *
 * Where a product has no datastreams (or no events) at all, nothing is said about its pins (or
 * codes), and anything goes: -ENODATA.
 *
 * Texts are on loan from the transaction: until gw_index_reader_pause, or the writer's next change.
 * Nothing here allocates.
 */
#ifndef GW_TOKEN_DETAILS_H
#define GW_TOKEN_DETAILS_H

#include <gw/token/catalog.h>

enum {
    GW_STREAM_NAME_BYTES_MAX = 64,
    GW_STREAM_INITIAL_BYTES_MAX = 256,
    GW_STREAM_DECIMALS_MAX = 15,
    GW_STREAM_STRING_BYTES_MAX = 1024, /* a value of type string */
    GW_EVENT_CODE_BYTES_MAX = 64,
    GW_EVENT_NAME_BYTES_MAX = 64,
    GW_FIELD_NAME_BYTES_MAX = 64,
    GW_FIELD_VALUE_BYTES_MAX = 256,
};

enum gw_stream_type {
    GW_STREAM_INT = 1,
    GW_STREAM_DOUBLE,
    GW_STREAM_STRING,
    GW_STREAM_ENUM,     /* the number of one of its values */
    GW_STREAM_LOCATION, /* longitude, NUL, latitude        */
};

struct gw_stream {
    uint8_t pin;     /* virtual                                                             */
    uint16_t number; /* by which HTTP clients may name it as well; 0: none                  */
    enum gw_stream_type type;
    bool
        sync; /* given when a device comes online or asks for all, not only when it names the pin */
    bool has_min, has_max, has_decimals;
    double min, max;         /* of the number; both count as within                        */
    uint8_t decimals;        /* of a double, as people are shown it                         */
    struct gw_bytes name;    /* for people; may be empty                                    */
    struct gw_bytes initial; /* its value while no device has written one; empty: none      */
};

/* "int", "double" ...; *out is filled when the word is one of them. */
const char *gw_stream_type_word(enum gw_stream_type type);
GW_MUST_USE bool gw_stream_type_of(const char *word, enum gw_stream_type *out);

/* Decimal text with or without a sign, a point and an exponent, whatever the locale. */
GW_MUST_USE bool gw_stream_number(struct gw_bytes text, double *out);

enum gw_stream_fit {
    GW_STREAM_FITS,
    GW_STREAM_WRONG_TYPE, /* no value of this type, or one with too many parts                */
    GW_STREAM_NOT_WITHIN, /* a number, but below min or above max                             */
};

/*
 * Does a value, its parts joined by NULs, suit the stream? The number of an int or enum must be
 * whole, though it may be written 5.000, as C++ sketches print floats. Pure: any thread.
 */
GW_MUST_USE enum gw_stream_fit gw_stream_check(const struct gw_stream *stream,
                                               struct gw_bytes value);

/* What HTTP clients are told, as the vendor documents it; it has no text of its own for a bound. */
#define GW_STREAM_TEXT_MISFIT  "Value doesn't match the Datastream data type."
#define GW_STREAM_TEXT_MISSING "No datastream setup for that pin."

/* For data paths. 0; -ENOENT not set up; -ENODATA the product has none at all; another -errno. */
GW_MUST_USE int gw_index_stream(struct gw_index_reader *reader, uint32_t product, uint8_t pin,
                                struct gw_stream *out);
GW_MUST_USE int gw_index_event(struct gw_index_reader *reader, uint32_t product,
                               struct gw_bytes code, struct gw_bytes *name);
/* By number, not 0. Of streams it is a walk over all that the product has. */
GW_MUST_USE int gw_index_stream_numbered(struct gw_index_reader *reader, uint32_t product,
                                         uint16_t number, struct gw_stream *out);
/* What the product calls the metadata field of this number: 0, -ENOENT, or another -errno. */
GW_MUST_USE int gw_index_field_name(struct gw_index_reader *reader, uint32_t product,
                                    uint16_t number, struct gw_bytes *name);
/* 0, -ENOENT when there is none, or another -errno. A device without a zone is in UTC. */
GW_MUST_USE int gw_index_field(struct gw_index_reader *reader, uint32_t device,
                               struct gw_bytes name, struct gw_bytes *value);
GW_MUST_USE int gw_index_zone(struct gw_index_reader *reader, uint32_t device,
                              struct gw_bytes *name);

/* The same through a view, and walks: the first one after that pin (from -1), code or name (from
 * an empty one). */
GW_MUST_USE int gw_catalog_stream(const struct gw_index_view *view, uint32_t product, uint8_t pin,
                                  struct gw_stream *out);
GW_MUST_USE int gw_catalog_stream_next(const struct gw_index_view *view, uint32_t product,
                                       int after, struct gw_stream *out);
GW_MUST_USE int gw_catalog_stream_numbered(const struct gw_index_view *view, uint32_t product,
                                           uint16_t number, struct gw_stream *out);
GW_MUST_USE int gw_catalog_field_name(const struct gw_index_view *view, uint32_t product,
                                      uint16_t number, struct gw_bytes *name);
/* The first number after that one, from 0. */
GW_MUST_USE int gw_catalog_field_name_next(const struct gw_index_view *view, uint32_t product,
                                           uint16_t after, uint16_t *number, struct gw_bytes *name);
GW_MUST_USE int gw_catalog_event(const struct gw_index_view *view, uint32_t product,
                                 struct gw_bytes code, struct gw_bytes *name);
GW_MUST_USE int gw_catalog_event_next(const struct gw_index_view *view, uint32_t product,
                                      struct gw_bytes after, struct gw_bytes *code,
                                      struct gw_bytes *name);
GW_MUST_USE int gw_catalog_field(const struct gw_index_view *view, uint32_t device,
                                 struct gw_bytes name, struct gw_bytes *value);
GW_MUST_USE int gw_catalog_field_next(const struct gw_index_view *view, uint32_t device,
                                      struct gw_bytes after, struct gw_bytes *name,
                                      struct gw_bytes *value);
GW_MUST_USE int gw_catalog_zone(const struct gw_index_view *view, uint32_t device,
                                struct gw_bytes *name);

/*
 * In a writer's transaction, with the errors of gw/token/writer.h. Names and codes: 1 to 64 bytes
 * (a stream's or event's name may be empty), values up to 256, no control characters. A stream's
 * bounds must be in order, and its initial value must suit it. What is added must not be there yet,
 * nor, of a product's streams, its number.
 */
GW_MUST_USE int gw_index_stream_add(struct gw_index_writer *writer, uint32_t product,
                                    const struct gw_stream *stream);
GW_MUST_USE int gw_index_stream_remove(struct gw_index_writer *writer, uint32_t product,
                                       uint8_t pin);
GW_MUST_USE int gw_index_event_add(struct gw_index_writer *writer, uint32_t product,
                                   struct gw_bytes code, struct gw_bytes name);
GW_MUST_USE int gw_index_event_remove(struct gw_index_writer *writer, uint32_t product,
                                      struct gw_bytes code);
GW_MUST_USE int gw_index_field_name_add(struct gw_index_writer *writer, uint32_t product,
                                        uint16_t number, struct gw_bytes name);
GW_MUST_USE int gw_index_field_name_remove(struct gw_index_writer *writer, uint32_t product,
                                           uint16_t number);
/* Adds or replaces. */
GW_MUST_USE int gw_index_field_set(struct gw_index_writer *writer, uint32_t device,
                                   struct gw_bytes name, struct gw_bytes value);
GW_MUST_USE int gw_index_field_remove(struct gw_index_writer *writer, uint32_t device,
                                      struct gw_bytes name);
/* Whether it is a zone is the caller's to check; an empty name makes it UTC again. */
GW_MUST_USE int gw_index_zone_set(struct gw_index_writer *writer, uint32_t device,
                                  struct gw_bytes name);

#endif
