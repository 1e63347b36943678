/*
 * tollgate-ways: the command line.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "machine.h"
#include "ways.h"

enum { EXIT_USAGE = 64, EXIT_NOT_HERE = 77 };

static const char usage_text[] =
    "tollgate-ways: what a message costs a server, by the way in which it talks to the kernel\n"
    "\n"
    "  tollgate-ways [--only QUESTION] [--way WAY] [--seconds S] [--rounds N] [--json FILE]\n"
    "  tollgate-ways --list\n"
    "\n"
    "  --only QUESTION   questions whose name has this in it; default: all, some 3 minutes\n"
    "  --way WAY         ways whose name has this in it; the first of a question is always asked\n"
    "  --seconds S       length of a slice, 0.05 to 10, default 0.2\n"
    "  --rounds N        slices of each way, 1 to 64, default 3\n"
    "  --json FILE       the result for programs: [smallest, median, largest] of each figure\n"
    "\n"
    "Loopback only. Uses the first two cores and, where that is permitted, real-time priority: "
    "for\n"
    "that long whatever else runs on them has next to nothing of the second.\n";

static int list(void)
{
    for (uint32_t q = 0; q < ways_question_count; q++) {
        printf("%-16s %s\n", ways_questions[q].name, ways_questions[q].text);
        for (uint32_t w = 0; w < ways_questions[q].way_count; w++)
            printf("                   %s\n", ways_questions[q].ways[w].name);
    }
    return 0;
}

/* 0: go on; else the exit code. */
static int read_options(int argc, char **argv, struct ways_options *out, const char **json)
{
    static const struct option names[] = {{"only", required_argument, NULL, 'o'},
                                          {"way", required_argument, NULL, 'w'},
                                          {"seconds", required_argument, NULL, 's'},
                                          {"rounds", required_argument, NULL, 'r'},
                                          {"json", required_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (option) {
        case 'o':
            out->only = optarg;
            break;
        case 'w':
            out->way = optarg;
            break;
        case 's':
            out->seconds = strtod(optarg, NULL);
            break;
        case 'r':
            out->rounds = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'j':
            *json = optarg;
            break;
        case 'h':
            fputs(usage_text, stdout);
            exit(0);
        default:
            return EXIT_USAGE;
        }
    }
    if (optind == argc && isfinite(out->seconds) && out->seconds >= 0.05 && out->seconds <= 10 &&
        out->rounds >= 1 && out->rounds <= WAYS_ROUNDS_MAX)
        return 0;
    fputs(usage_text, stderr);
    return EXIT_USAGE;
}

/* The question with those of its ways that are asked for. */
static struct ways_question choose(const struct ways_question *question, const char *way,
                                   struct ways_way ways[WAYS_PER_QUESTION_MAX])
{
    struct ways_question chosen = *question;

    chosen.ways = ways;
    chosen.way_count = 0;
    for (uint32_t w = 0; w < question->way_count; w++)
        if (way == NULL || w == 0 || strstr(question->ways[w].name, way) != NULL)
            ways[chosen.way_count++] = question->ways[w];
    return chosen;
}

static void raise_descriptor_limit(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

/* How many questions failed; 1 if none was asked. */
static int ask_all(const struct ways_options *options, struct ways_document *document)
{
    static struct ways_result results[WAYS_PER_QUESTION_MAX];
    static struct ways_way ways[WAYS_PER_QUESTION_MAX];
    int failed = 0, asked = 0;

    for (uint32_t q = 0; q < ways_question_count; q++) {
        struct ways_question question = choose(&ways_questions[q], options->way, ways);
        int err;

        if (options->only != NULL && strstr(question.name, options->only) == NULL)
            continue;
        asked++;
        if ((err = ways_ask(&question, options, results)) != 0) {
            fprintf(stderr, "tollgate-ways: %s: %s\n", question.name, strerror(-err));
            failed++;
            continue;
        }
        ways_print(&question, results, options->rounds);
        failed += results[0].refused; /* what the gateway does must be there */
        if (document != NULL)
            ways_document_add(document, &question, results, options->rounds);
    }
    if (asked == 0)
        fputs("tollgate-ways: no question has such a name; --list tells them\n", stderr);
    return asked == 0 ? 1 : failed;
}

int main(int argc, char **argv)
{
    struct ways_options options = {.seconds = 0.2, .rounds = 3};
    struct ways_document *document = NULL;
    struct swarm_machine machine;
    const char *json = NULL;
    int err, failed;

    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list();
    if ((err = read_options(argc, argv, &options, &json)) != 0)
        return err;
    if (!ways_have_cores()) {
        fputs("tollgate-ways: needs two cores, one for the server and one for the client\n",
              stderr);
        return EXIT_NOT_HERE;
    }
    if (json != NULL && (document = ways_document_begin(&options)) == NULL) {
        fputs("tollgate-ways: out of memory\n", stderr);
        return EXIT_FAILURE;
    }
    raise_descriptor_limit();
    swarm_machine_read(&machine);
    printf("%s, %ld cores, Linux %s, %s, load %.1f; %u rounds of %.2f s\n", machine.cpu,
           machine.cores, machine.kernel, machine.congestion, machine.load, options.rounds,
           options.seconds);
    (void)fflush(stdout);
    failed = ask_all(&options, document);
    if (document != NULL && ways_document_end(document, json) != 0) {
        fprintf(stderr, "tollgate-ways: cannot write %s\n", json);
        failed = 1;
    }
    return failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
