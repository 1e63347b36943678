/*
 * Feeds a fuzz target every file of the folders it is given, without a fuzzing engine, so that
 * ctest runs the corpora with any compiler. Of small files every prefix is fed too: a prefix is
 * what a stream looks like before its last bytes have come.
 *
 * Each input lies in an allocation of exactly its size, so that AddressSanitizer sees the first
 * byte that is read behind it.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

enum { PREFIXES_OF_BYTES_MAX = 512, INPUT_BYTES_MAX = 1 << 20 };

static uint64_t inputs;

static int feed(const uint8_t *bytes, size_t size)
{
    uint8_t *exact = size == 0 ? NULL : malloc(size);

    if (exact == NULL && size > 0)
        return -ENOMEM;
    if (size > 0)
        memcpy(exact, bytes, size);
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    inputs++;
    return 0;
}

static int feed_file(const char *path)
{
    static uint8_t bytes[INPUT_BYTES_MAX];
    FILE *file = fopen(path, "rb");
    int err = 0;

    if (file == NULL)
        return -errno;
    size_t size = fread(bytes, 1, sizeof bytes, file);

    if (ferror(file))
        err = -EIO;
    else if (size == sizeof bytes)
        err = -EFBIG;
    (void)fclose(file);
    for (size_t cut = size <= PREFIXES_OF_BYTES_MAX ? 0 : size; err == 0 && cut <= size; cut++)
        err = feed(bytes, cut);
    return err;
}

static int feed_folder(const char *folder, unsigned *files)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort), err = 0;

    if (count < 0)
        return -errno;
    for (int i = 0; i < count; i++) {
        char path[4096];
        struct stat st;
        int bytes = snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);

        free(entries[i]);
        if (err != 0 || bytes < 0 || (size_t)bytes >= sizeof path || stat(path, &st) != 0 ||
            !S_ISREG(st.st_mode))
            continue;
        err = feed_file(path);
        (*files)++;
        if (err != 0)
            (void)fprintf(stderr, "%s: %s\n", path, strerror(-err));
    }
    free(entries);
    return err;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        unsigned files = 0;
        int err = feed_folder(argv[i], &files);

        if (err != 0 || files == 0) { /* an empty corpus would be a test that cannot fail */
            (void)fprintf(stderr, "%s: %s\n", argv[i], err != 0 ? strerror(-err) : "no inputs");
            return 1;
        }
        (void)printf("%s: %u files\n", argv[i], files);
    }
    (void)printf("%llu inputs\n", (unsigned long long)inputs);
    return inputs == 0;
}
