/*
 * /proc/PID/stat counts in ticks of 10 ms, but the kernel scales them to the exact run time of all
 * threads, dead ones included, so over seconds the resolution is enough.
 */
#include "process.h"

#include <stdio.h>
#include <string.h>
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

bool swarm_process_read(pid_t pid, struct swarm_process_usage *out)
{
    unsigned long long user, system, pages;
    char text[1024];
    const char *at;

    /* The name in parentheses may hold anything: count fields from its end. */
    if (!read_file(pid, "stat", text, sizeof text) || (at = strrchr(text, ')')) == NULL ||
        sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2)
        return false;
    out->cpu_us = (user + system) * 1000000 / (unsigned long long)sysconf(_SC_CLK_TCK);
    if (!read_file(pid, "statm", text, sizeof text) || sscanf(text, "%*u %llu", &pages) != 1)
        return false;
    out->rss_bytes = pages * (unsigned long long)sysconf(_SC_PAGESIZE);
    return true;
}
