/*
 * Medians, ratios, and what is printed of them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ways.h"

static const struct {
    const char *head;
    int digits;
} columns[] = {
#define X(name, digits, head) {head, digits},
    WAYS_FIGURES(X)
#undef X
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

struct ways_spread ways_spread(const struct ways_result *result, const struct ways_result *base,
                               enum ways_figure figure, uint32_t rounds)
{
    double values[WAYS_ROUNDS_MAX];

    for (uint32_t i = 0; i < rounds; i++) {
        double of_base = base == NULL ? 1 : base->slices[i][figure];

        values[i] = of_base > 0 ? result->slices[i][figure] / of_base : 0;
    }
    qsort(values, rounds, sizeof *values, by_value);
    return (struct ways_spread){
        .median = (values[(rounds - 1) / 2] + values[rounds / 2]) / 2,
        .smallest = values[0],
        .largest = values[rounds - 1],
    };
}

static void print_memory(const struct ways_result *result, const struct ways_result *base,
                         uint32_t rounds)
{
    struct ways_spread bytes = ways_spread(result, NULL, WAYS_FIGURE_kernel_bytes, rounds);
    struct ways_spread of_base = ways_spread(base, NULL, WAYS_FIGURE_kernel_bytes, rounds);

    printf(" %.0f (%.0f to %.0f) | %.0f |\n", bytes.median, bytes.smallest, bytes.largest,
           bytes.median - of_base.median);
}

static void print_time(const struct ways_result *result, const struct ways_result *base,
                       uint32_t rounds)
{
    struct ways_spread ratio = ways_spread(result, base, WAYS_FIGURE_cpu_us, rounds);

    printf(" %.2f (%.2f to %.2f) |", ratio.median, ratio.smallest, ratio.largest);
    for (int figure = 0; figure < WAYS_FIGURE_kernel_bytes; figure++)
        printf(" %.*f |", columns[figure].digits,
               ways_spread(result, NULL, (enum ways_figure)figure, rounds).median);
    if (result->rearms > 0)
        printf(" armed again %llu times", (unsigned long long)result->rearms);
    putchar('\n');
}

static void print_head(const struct ways_question *question)
{
    printf("\n### %s\n\n%s\n\n", question->name, question->text);
    if (question->memory) {
        printf("| way | %s | beyond the first |\n|---|---|---|\n",
               columns[WAYS_FIGURE_kernel_bytes].head);
        return;
    }
    printf("| way | CPU, ratio |");
    for (int figure = 0; figure < WAYS_FIGURE_kernel_bytes; figure++)
        printf(" %s |", columns[figure].head);
    printf("\n|---|---|");
    for (int figure = 0; figure < WAYS_FIGURE_kernel_bytes; figure++)
        printf("---|");
    putchar('\n');
}

void ways_print(const struct ways_question *question, const struct ways_result *results,
                uint32_t rounds)
{
    print_head(question);
    for (const struct ways_result *r = results; r < results + question->way_count; r++) {
        printf("| %s |", r->way->name);
        if (r->refused)
            printf(" not here: %s |\n", r->why);
        else if (question->memory)
            print_memory(r, results, rounds);
        else
            print_time(r, results, rounds);
    }
    (void)fflush(stdout);
}
