/*
 * Facts from /proc, /sys and uname.
 */
#include "machine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static void read_line(const char *path, char *out, size_t capacity)
{
    FILE *file = fopen(path, "re");

    out[0] = '\0';
    if (file == NULL)
        return;
    if (fgets(out, (int)capacity, file) == NULL)
        out[0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    fclose(file);
}

static void read_cpu(char *out, size_t capacity)
{
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[512];

    snprintf(out, capacity, "unknown");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *value = strchr(line, ':');

        if (strncmp(line, "model name", 10) != 0 || value == NULL)
            continue;
        value += 1 + strspn(value + 1, " ");
        value[strcspn(value, "\n")] = '\0';
        snprintf(out, capacity, "%s", value);
        break;
    }
    if (file != NULL)
        fclose(file);
}

void swarm_machine_read(struct swarm_machine *out)
{
    struct utsname name;

    *out = (struct swarm_machine){.cores = sysconf(_SC_NPROCESSORS_ONLN)};
    if (uname(&name) == 0)
        snprintf(out->kernel, sizeof out->kernel, "%s", name.release);
    read_cpu(out->cpu, sizeof out->cpu);
    read_line("/proc/sys/net/ipv4/tcp_congestion_control", out->congestion, sizeof out->congestion);
    if (getloadavg(&out->load, 1) != 1)
        out->load = -1;
}

/* Caches that grow when somebody reads files or a log is written, and not with connections. */
static bool is_of_files(const char *cache)
{
    return (strstr(cache, "inode_cache") != NULL && strcmp(cache, "sock_inode_cache") != 0) ||
           strcmp(cache, "radix_tree_node") == 0 || strcmp(cache, "buffer_head") == 0 ||
           strncmp(cache, "ext4_", 5) == 0 || strncmp(cache, "jbd2_", 5) == 0 ||
           strncmp(cache, "xfs_", 4) == 0 || strncmp(cache, "btrfs_", 6) == 0;
}

bool swarm_slab_add_caches(FILE *slabinfo, struct swarm_slab *out)
{
    unsigned long long per_slab, pages, slabs;
    char line[512], cache[64];
    bool seen = false;

    while (fgets(line, sizeof line, slabinfo) != NULL) {
        const char *data = strstr(line, ": slabdata");
        uint64_t bytes;

        if (data == NULL ||
            sscanf(line, "%63s %*u %*u %*u %llu %llu", cache, &per_slab, &pages) != 3 ||
            sscanf(data, ": slabdata %*u %llu", &slabs) != 1)
            continue;
        seen = true;
        bytes = slabs * pages * (uint64_t)sysconf(_SC_PAGESIZE);
        if (strcmp(cache, "dentry") == 0 && per_slab > 0) {
            out->dentry_bytes += bytes;
            out->dentry_size = pages * (uint64_t)sysconf(_SC_PAGESIZE) / per_slab;
        } else if (is_of_files(cache)) {
            out->inode_bytes += bytes;
        }
    }
    return seen;
}

void swarm_slab_read(struct swarm_slab *out)
{
    FILE *file = fopen("/proc/meminfo", "re");
    unsigned long long kib;
    char line[256];

    *out = (struct swarm_slab){0};
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "Slab: %llu kB", &kib) == 1)
            out->bytes = kib * 1024;
    }
    if (file != NULL)
        fclose(file);
    file = fopen("/proc/slabinfo", "re");
    if (file == NULL)
        return;
    out->caches_known = swarm_slab_add_caches(file, out);
    fclose(file);
}

double swarm_slab_growth(const struct swarm_slab *before, const struct swarm_slab *after,
                         uint64_t sockets, double *noise_bytes)
{
    double dentries;

    *noise_bytes = 0;
    if (before->caches_known && after->caches_known) {
        dentries = (double)after->dentry_bytes - (double)before->dentry_bytes -
                   (double)(sockets * after->dentry_size);
        *noise_bytes = (double)after->inode_bytes - (double)before->inode_bytes + dentries;
    }
    return (double)after->bytes - (double)before->bytes - *noise_bytes;
}
