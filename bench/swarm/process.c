/*
 * CPU time by the process's clock, which counts nanoseconds over all threads, dead ones included;
 * /proc/PID/stat tells the same in ticks of 10 ms, of which a gateway at rest uses few.
 */
#include "process.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static bool read_file(pid_t pid, const char *name, char *out, size_t capacity)
{
    char path[64];
    FILE *file;
    size_t bytes;

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    file = fopen(path, "re");
    if (file == NULL)
        return false;
    bytes = fread(out, 1, capacity - 1, file);
    out[bytes] = '\0';
    fclose(file);
    return bytes > 0;
}

static bool add_process(pid_t pid, struct swarm_process_usage *out)
{
    unsigned long long pages;
    struct timespec used;
    clockid_t clock;
    char text[256];

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0 ||
        !read_file(pid, "statm", text, sizeof text) || sscanf(text, "%*u %llu", &pages) != 1)
        return false;
    out->cpu_us += (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
    out->rss_bytes += pages * (unsigned long long)sysconf(_SC_PAGESIZE);
    return true;
}

bool swarm_process_read(pid_t pid, struct swarm_process_usage *out)
{
    char name[32], text[8192], *rest = text, *end;

    *out = (struct swarm_process_usage){0};
    if (!add_process(pid, out))
        return false;
    /* What its first thread started: programs that fork do it before they have others. */
    snprintf(name, sizeof name, "task/%d/children", (int)pid);
    if (!read_file(pid, name, text, sizeof text))
        return true;
    for (long child; (child = strtol(rest, &end, 10)) > 0; rest = end) {
        if (!add_process((pid_t)child, out))
            return false;
    }
    return true;
}
