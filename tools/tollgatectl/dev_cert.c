/*
 * dev-cert: a development CA and the server certificates under it, so that a gateway can be tried
 * with real boards within minutes. What boards trust is the root alone: an existing one is used
 * again, never replaced, and new leaves need no new firmware.
 */
#include "ctl.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "certificate.h"

enum {
    CA_DAYS = 3652,
    LEAF_DAYS = 825, /* some clients refuse server certificates that are made for longer */
    HOSTS_MAX = 32,
    HOST_BYTES_MAX = 253,
    PATH_BYTES_MAX = 4096,
};

/* Who may read the servers' keys besides us. The CA's key is nobody else's. */
struct key_readers {
    bool has_group;
    gid_t group;
};

static const struct key_readers ours_alone = {.has_group = false};

struct ca {
    EVP_PKEY *key;
    X509 *certificate;
    bool found; /* it was there already */
};

static const char *const leaf_files[] = {"rsa.pem", "rsa.key", "ec.pem", "ec.key"};

static int path_of(char *out, const char *dir, const char *name)
{
    const int n = snprintf(out, PATH_BYTES_MAX, "%s/%s", dir, name);

    return n < 0 || n >= PATH_BYTES_MAX ? -ENAMETOOLONG : 0;
}

static bool is_there(const char *dir, const char *name)
{
    char path[PATH_BYTES_MAX];

    return path_of(path, dir, name) == 0 && access(path, F_OK) == 0;
}

static int write_whole(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        const ssize_t n = write(fd, data, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        size -= (size_t)n;
    }
    return fsync(fd) == 0 ? 0 : -errno;
}

/* Under another name first: a gateway that reloads never meets half a file. */
static int write_file(const char *dir, const char *name, mode_t mode,
                      const struct key_readers *readers, BIO *content)
{
    char path[PATH_BYTES_MAX];
    char temporary[PATH_BYTES_MAX + 8];
    const uint8_t *data = NULL;
    size_t size = 0;
    int err = path_of(path, dir, name);
    int fd;

    if (err == 0 && !BIO_mem_contents(content, &data, &size))
        err = -ENOMEM;
    if (err != 0)
        return err;
    (void)snprintf(temporary, sizeof temporary, "%s.new", path);
    (void)unlink(temporary); /* of a run that was cut short */
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return -errno;
    if (readers->has_group && (fchown(fd, (uid_t)-1, readers->group) != 0 || fchmod(fd, 0640) != 0))
        err = -errno;
    if (err == 0)
        err = write_whole(fd, data, size);
    if (close(fd) != 0 && err == 0)
        err = -errno;
    if (err == 0 && rename(temporary, path) != 0)
        err = -errno;
    if (err != 0)
        (void)unlink(temporary);
    else
        (void)printf("%s\n", path);
    return err;
}

static int write_certificate(const char *dir, const char *name, X509 *certificate)
{
    BIO *pem = BIO_new(BIO_s_mem());
    const int err = pem == NULL || !PEM_write_bio_X509(pem, certificate)
                        ? -ENOMEM
                        : write_file(dir, name, 0644, &ours_alone, pem);

    BIO_free(pem);
    return err;
}

static int write_key(const char *dir, const char *name, const struct key_readers *readers,
                     EVP_PKEY *key)
{
    BIO *pem = BIO_new(BIO_s_mem());
    const int err = pem == NULL || !PEM_write_bio_PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL)
                        ? -ENOMEM
                        : write_file(dir, name, 0600, readers, pem);

    BIO_free(pem);
    return err;
}

/* The CA as a C string, a line of PEM to a line of C. */
static int write_header(const char *dir, X509 *certificate)
{
    BIO *pem = BIO_new(BIO_s_mem());
    BIO *text = BIO_new(BIO_s_mem());
    char line[128];
    int err = -ENOMEM;

    if (pem != NULL && text != NULL && PEM_write_bio_X509(pem, certificate) &&
        BIO_puts(text, "/*\n"
                       " * The development CA of this gateway.\n"
                       " *\n"
                       " *   ESP8266   static BearSSL::X509List ca(tollgate_ca_pem);\n"
                       " *             client.setTrustAnchors(&ca);\n"
                       " *   ESP32     client.setCACert(tollgate_ca_pem);\n"
                       " */\n"
                       "static const char tollgate_ca_pem[] =\n") > 0) {
        err = 0;
        while (BIO_gets(pem, line, sizeof line) > 0) {
            line[strcspn(line, "\n")] = '\0';
            if (BIO_printf(text, "    \"%s\\n\"%s\n", line, BIO_pending(pem) == 0 ? ";" : "") <= 0)
                err = -ENOMEM;
        }
    }
    if (err == 0)
        err = write_file(dir, "ca.h", 0644, &ours_alone, text);
    BIO_free(text);
    BIO_free(pem);
    return err;
}

static FILE *open_file(const char *dir, const char *name)
{
    char path[PATH_BYTES_MAX];

    return path_of(path, dir, name) == 0 ? fopen(path, "re") : NULL;
}

static int read_ca(const char *dir, struct ca *ca)
{
    FILE *file = open_file(dir, "ca.pem");

    if (file != NULL) {
        ca->certificate = PEM_read_X509(file, NULL, NULL, NULL);
        (void)fclose(file);
    }
    file = open_file(dir, "ca.key");
    if (file != NULL) {
        ca->key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
        (void)fclose(file);
    }
    ca->found = true;
    if (ca->certificate == NULL)
        return ctl_fail(CTL_CONFIG, "%s/ca.pem cannot be read as a certificate", dir);
    if (ca->key == NULL)
        return ctl_fail(CTL_CONFIG, "%s/ca.key cannot be read as a key", dir);
    if (X509_check_private_key(ca->certificate, ca->key) != 1)
        return ctl_fail(CTL_CONFIG, "%s/ca.key does not belong to ca.pem", dir);
    if (X509_cmp_current_time(X509_get0_notAfter(ca->certificate)) <= 0)
        return ctl_fail(CTL_CONFIG, "%s/ca.pem has expired; make a new CA in another directory",
                        dir);
    return CTL_OK;
}

static int create_ca(const char *dir, struct ca *ca)
{
    int err;

    ca->key = gw_key_generate_rsa();
    ca->certificate =
        ca->key == NULL ? NULL : gw_certificate_root(ca->key, "Tollgate development CA", CA_DAYS);
    if (ca->certificate == NULL)
        return ctl_fail(CTL_FAILED, "out of memory");
    /* The key first: a certificate without its key would be worth nothing. */
    if ((err = write_key(dir, "ca.key", &ours_alone, ca->key)) != 0 ||
        (err = write_certificate(dir, "ca.pem", ca->certificate)) != 0)
        return ctl_fail(ctl_exit_of(err), "%s: %s", dir, strerror(-err));
    return CTL_OK;
}

static int issue(const char *dir, const char *chain_name, const char *key_name, EVP_PKEY *key,
                 const struct key_readers *readers, const char *const *hosts, size_t host_count,
                 const struct ca *ca)
{
    X509 *leaf = key == NULL ? NULL
                             : gw_certificate_leaf(key, hosts, host_count, LEAF_DAYS,
                                                   ca->certificate, ca->key);
    int err;

    if (leaf == NULL)
        return ctl_fail(CTL_FAILED, "out of memory");
    if ((err = write_key(dir, key_name, readers, key)) == 0)
        err = write_certificate(dir, chain_name, leaf);
    X509_free(leaf);
    return err == 0 ? CTL_OK : ctl_fail(ctl_exit_of(err), "%s: %s", dir, strerror(-err));
}

static int issue_both(const char *dir, const struct key_readers *readers, const char *const *hosts,
                      size_t host_count, const struct ca *ca)
{
    EVP_PKEY *rsa = gw_key_generate_rsa();
    EVP_PKEY *ec = gw_key_generate_ec();
    int code = issue(dir, "rsa.pem", "rsa.key", rsa, readers, hosts, host_count, ca);

    if (code == CTL_OK)
        code = issue(dir, "ec.pem", "ec.key", ec, readers, hosts, host_count, ca);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ec);
    return code;
}

static bool is_address(const char *host)
{
    uint8_t address[16];

    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

/* RFC 1123 2.1, and an asterisk as the whole first label. */
static bool is_name(const char *host)
{
    const size_t bytes = strlen(host);
    size_t label_bytes = 0;

    if (bytes == 0 || bytes > HOST_BYTES_MAX)
        return false;
    for (size_t i = strncmp(host, "*.", 2) == 0 ? 2 : 0; i < bytes; i++) {
        if (host[i] == '.') {
            if (label_bytes == 0)
                return false;
            label_bytes = 0;
        } else if (!isalnum((unsigned char)host[i]) && host[i] != '_' &&
                   (host[i] != '-' || label_bytes == 0)) {
            return false;
        } else if (++label_bytes > 63) {
            return false;
        }
    }
    return label_bytes > 0;
}

/* Moves the values of --host out of argv; ctl_options takes each option once. */
static int take_hosts(int *argc, char **argv, const char **hosts, size_t *host_count)
{
    int kept = 1;

    *host_count = 0;
    for (int at = 1; at < *argc; at++) {
        const char *host = NULL;

        if (strncmp(argv[at], "--host=", 7) == 0)
            host = argv[at] + 7;
        else if (strcmp(argv[at], "--host") == 0 && at + 1 < *argc)
            host = argv[++at];
        if (host == NULL) {
            argv[kept++] = argv[at];
            continue;
        }
        if (!is_address(host) && !is_name(host))
            return ctl_fail(CTL_USAGE, "--host '%s' is neither a name nor an IP address", host);
        if (*host_count == 0 && strlen(host) > GW_CERTIFICATE_NAME_BYTES_MAX)
            return ctl_fail(CTL_USAGE, "the first --host is the common name: at most %d characters",
                            GW_CERTIFICATE_NAME_BYTES_MAX);
        if (*host_count == HOSTS_MAX)
            return ctl_fail(CTL_USAGE, "more than %d hosts", HOSTS_MAX);
        hosts[(*host_count)++] = host;
    }
    *argc = kept;
    return CTL_OK;
}

static int check_directory(const char *dir, bool force)
{
    if (mkdir(dir, 0755) != 0 && errno != EEXIST)
        return ctl_fail(ctl_exit_of(-errno), "%s: %s", dir, strerror(errno));
    for (size_t i = 0; i < GW_ARRAY_COUNT(leaf_files); i++) {
        if (!force && is_there(dir, leaf_files[i]))
            return ctl_fail(CTL_FAILED,
                            "%s/%s is there already; --force replaces the leaves, not the CA", dir,
                            leaf_files[i]);
    }
    if (is_there(dir, "ca.pem") && !is_there(dir, "ca.key"))
        return ctl_fail(CTL_CONFIG, "%s has a ca.pem but no ca.key to sign with", dir);
    return CTL_OK;
}

int ctl_dev_cert(int argc, char **argv)
{
    const char *hosts[HOSTS_MAX];
    const char *dir = NULL, *group = NULL;
    size_t host_count = 0;
    struct key_readers readers = ours_alone;
    bool force = false;
    const struct ctl_option options[] = {
        {.name = "host", .flag = NULL, .value = NULL}, /* taken before; here to be suggested */
        {.name = "out", .value = &dir},
        {.name = "group", .value = &group},
        {.name = "force", .flag = &force},
    };
    struct ca ca = {0};
    int word_count;
    int code = take_hosts(&argc, argv, hosts, &host_count);

    if (code == CTL_OK && argc > 1 && strcmp(argv[argc - 1], "--host") == 0)
        return ctl_fail(CTL_USAGE, "--host needs a value");
    if (code == CTL_OK)
        code = ctl_options(argc, argv, options, GW_ARRAY_COUNT(options), 0, 0, &word_count);
    if (code != CTL_OK)
        return code;
    if (host_count == 0 || dir == NULL)
        return ctl_fail(CTL_USAGE, "--%s is missing; see 'tollgatectl help dev-cert'",
                        host_count == 0 ? "host" : "out");
    if (group != NULL) {
        code = ctl_find_group(group, &readers.group);
        if (code != CTL_OK)
            return code;
        readers.has_group = true;
    }
    code = check_directory(dir, force);
    if (code == CTL_OK)
        code = is_there(dir, "ca.pem") ? read_ca(dir, &ca) : create_ca(dir, &ca);
    if (code == CTL_OK) {
        const int err = write_header(dir, ca.certificate);

        if (err != 0)
            code = ctl_fail(ctl_exit_of(err), "%s: %s", dir, strerror(-err));
    }
    if (code == CTL_OK)
        code = issue_both(dir, &readers, hosts, host_count, &ca);
    if (code == CTL_OK)
        ctl_note("%s; boards need %s/ca.h, the gateway the rsa and ec files, nobody ca.key",
                 ca.found ? "signed by the CA that was there" : "signed by a new CA", dir);
    X509_free(ca.certificate);
    EVP_PKEY_free(ca.key);
    return code;
}
