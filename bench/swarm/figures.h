/*
 * The figures by which runs are judged and compared. A figure that a run does not give is NAN, and
 * null in its JSON.
 */
#ifndef SWARM_FIGURES_H
#define SWARM_FIGURES_H

#include <stdbool.h>

#define SWARM_FIGURE(name, better, precision, text) SWARM_FIGURE_##name,
enum swarm_figure {
#include "figures.def"
    SWARM_FIGURES
};
#undef SWARM_FIGURE

struct swarm_figure_kind {
    const char *name, *text;
    bool higher_is_better, exact;
};

extern const struct swarm_figure_kind swarm_figure_kinds[SWARM_FIGURES];

enum swarm_verdict {
    SWARM_UNKNOWN, /* one of the two does not have it */
    SWARM_SAME,
    SWARM_BETTER,
    SWARM_WORSE,
};

/* `noise` is a share: a MEASURED figure that changed by less is the same. */
enum swarm_verdict swarm_figure_compare(enum swarm_figure figure, double before, double after,
                                        double noise);

#endif
