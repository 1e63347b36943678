#include "figures.h"

#include <math.h>

enum { LOWER = 0, HIGHER = 1, MEASURED = 0, EXACT = 1 };

const struct swarm_figure_kind swarm_figure_kinds[SWARM_FIGURES] = {
#define SWARM_FIGURE(name, better, precision, text) {#name, text, better, precision},
#include "figures.def"
#undef SWARM_FIGURE
};

enum swarm_verdict swarm_figure_compare(enum swarm_figure figure, double before, double after,
                                        double noise)
{
    const struct swarm_figure_kind *kind = &swarm_figure_kinds[figure];
    double allowed = kind->exact ? 0 : fabs(before) * noise;

    if (isnan(before) || isnan(after))
        return SWARM_UNKNOWN;
    if (fabs(after - before) <= allowed)
        return SWARM_SAME;
    return (after > before) == kind->higher_is_better ? SWARM_BETTER : SWARM_WORSE;
}
