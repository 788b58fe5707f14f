/* A storage shim for tests: keeps, beside the real files, a copy of exactly what was fsynced.
 *
 * Preloaded into a process, it takes over fsync and fdatasync. A synced file's content is copied to
 * MIRROR/f<inode>; a synced directory's entries are listed in MIRROR/d<inode>. What was written, created,
 * renamed or removed and never synced is not there: MIRROR is what a disk holds after the power fails.
 * (kill -9 alone proves nothing: the page cache outlives the process.)
 *
 * POWER_CUT_ROOT    the folder to watch; other paths are synced for real
 * POWER_CUT_MIRROR  where the copy is kept
 * POWER_CUT_IGNORE  a pattern of paths under ROOT whose fsyncs are swallowed, to prove that a test would notice
 * MIRROR/log lists the synced paths, relative to ROOT.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int copy_content(const char *from, FILE *to) {
    char buffer[1 << 16];
    size_t n;
    FILE *in = fopen(from, "rb");
    if (!in) return -1;
    while ((n = fread(buffer, 1, sizeof buffer, in)) > 0) fwrite(buffer, 1, n, to);
    fclose(in);
    return 0;
}

static int list_entries(const char *dir, FILE *to) {
    struct dirent *entry;
    DIR *d = opendir(dir);
    if (!d) return -1;
    while ((entry = readdir(d)))
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            fprintf(to, "%c %lu %s\n", entry->d_type == DT_DIR ? 'd' : 'f', (unsigned long)entry->d_ino, entry->d_name);
    closedir(d);
    return 0;
}

static void keep(const char *mirror, const char *path, const struct stat *st, const char *relative) {
    char target[PATH_MAX], temporary[PATH_MAX + 8], lock[PATH_MAX], log[PATH_MAX];
    int is_dir = S_ISDIR(st->st_mode);
    snprintf(lock, sizeof lock, "%s/lock", mirror);
    snprintf(log, sizeof log, "%s/log", mirror);
    snprintf(target, sizeof target, "%s/%c%lu", mirror, is_dir ? 'd' : 'f', (unsigned long)st->st_ino);
    snprintf(temporary, sizeof temporary, "%s.new", target);
    int held = open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (held < 0) return;
    flock(held, LOCK_EX);
    FILE *out = fopen(temporary, "wb");
    if (out) {
        int failed = is_dir ? list_entries(path, out) : copy_content(path, out);
        if (fclose(out) == 0 && !failed) rename(temporary, target);
    }
    FILE *seen = fopen(log, "a");
    if (seen) { fprintf(seen, "%s\n", *relative ? relative : "."); fclose(seen); }
    close(held);
}

static int sync_through(int fd, const char *name) {
    const char *root = getenv("POWER_CUT_ROOT"), *mirror = getenv("POWER_CUT_MIRROR"), *ignore = getenv("POWER_CUT_IGNORE");
    char link[64], path[PATH_MAX];
    struct stat st;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (root && mirror && len > 0 && fstat(fd, &st) == 0) {
        size_t root_len = strlen(root);
        path[len] = 0;
        if (!strncmp(path, root, root_len) && (path[root_len] == 0 || path[root_len] == '/')) {
            const char *relative = path[root_len] ? path + root_len + 1 : "";
            if (!ignore || fnmatch(ignore, *relative ? relative : ".", FNM_PATHNAME)) keep(mirror, path, &st, relative);
            return 0;
        }
    }
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    return real(fd);
}

int fsync(int fd) { return sync_through(fd, "fsync"); }
int fdatasync(int fd) { return sync_through(fd, "fdatasync"); }
