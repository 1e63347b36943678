/*
 * A ring that takes the operations of this room and no others.
 */
#ifndef GW_IO_RESTRICT_INTERNAL_H
#define GW_IO_RESTRICT_INTERNAL_H

#include <liburing.h>

#include <gw/base/defs.h>

/* For a ring that was set up with IORING_SETUP_R_DISABLED and is not enabled yet. 0 or -errno. */
GW_MUST_USE int ring_restrict(struct io_uring *uring);
/* It takes operations from now on. 0 or -errno. */
GW_MUST_USE int ring_enable(struct io_uring *uring);

#endif
