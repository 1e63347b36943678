/*
 * The result for programs, as JSON.
 */
#include <errno.h>
#include <stdlib.h>

#include <jansson.h>

#include "machine.h"
#include "ways.h"

struct ways_document {
    json_t *root;
};

static const char *const names[] = {
#define X(name, digits, head) #name,
    WAYS_FIGURES(X)
#undef X
};

struct ways_document *ways_document_begin(const struct ways_options *options)
{
    struct ways_document *document = malloc(sizeof *document);
    struct swarm_machine machine;

    if (document == NULL)
        return NULL;
    swarm_machine_read(&machine);
    document->root = json_pack("{s:{s:s,s:i,s:s,s:s,s:f},s:f,s:i,s:[]}", "machine", "cpu",
                               machine.cpu, "cores", (int)machine.cores, "kernel", machine.kernel,
                               "congestion", machine.congestion, "load", machine.load, "seconds",
                               options->seconds, "rounds", (int)options->rounds, "questions");
    if (document->root != NULL)
        return document;
    free(document);
    return NULL;
}

static json_t *pack_spread(struct ways_spread spread)
{
    return json_pack("[f,f,f]", spread.smallest, spread.median, spread.largest);
}

static json_t *pack_way(const struct ways_question *question, const struct ways_result *result,
                        const struct ways_result *base, uint32_t rounds)
{
    json_t *object = json_pack("{s:s}", "name", result->way->name);

    if (result->refused) {
        json_object_set_new(object, "refused", json_string(result->why));
        return object;
    }
    if (!question->memory)
        json_object_set_new(object, "cpu_ratio",
                            pack_spread(ways_spread(result, base, WAYS_FIGURE_cpu_us, rounds)));
    for (int i = 0; i < WAYS_FIGURE_COUNT; i++)
        if (question->memory == (i == WAYS_FIGURE_kernel_bytes))
            json_object_set_new(
                object, names[i],
                pack_spread(ways_spread(result, NULL, (enum ways_figure)i, rounds)));
    json_object_set_new(object, "rearms", json_integer((json_int_t)result->rearms));
    return object;
}

void ways_document_add(struct ways_document *document, const struct ways_question *question,
                       const struct ways_result *results, uint32_t rounds)
{
    json_t *ways = json_array();

    for (uint32_t w = 0; w < question->way_count; w++)
        json_array_append_new(ways, pack_way(question, &results[w], results, rounds));
    json_array_append_new(json_object_get(document->root, "questions"),
                          json_pack("{s:s,s:i,s:i,s:i,s:b,s:o}", "name", question->name,
                                    "connections", (int)question->load.connections, "rate",
                                    (int)question->load.rate, "bytes", (int)question->load.bytes,
                                    "echo", (int)question->load.echo, "ways", ways));
}

int ways_document_end(struct ways_document *document, const char *path)
{
    int err = json_dump_file(document->root, path, JSON_INDENT(1)) != 0 ? -EIO : 0;

    json_decref(document->root);
    free(document);
    return err;
}
