/* Counts changes to the file system below CRASH_PREFIX and kills the whole process group at the CRASH_AT-th, or lets
 * the CRASH_AT-th change and the next CRASH_FOR - 1 fail with the error number CRASH_ERRNO (disk full, EIO, EACCES).
 *
 * LD_PRELOAD=crash_shim.so CRASH_PREFIX=/lake CRASH_COUNT=/file [CRASH_AT=n [CRASH_ERRNO=e CRASH_FOR=k]] program
 * CRASH_COUNT is a file of eight bytes that all processes of the group share: the number of changes so far.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static volatile uint64_t *counter;
static const char *prefix;
static uint64_t crash_at, crash_for;
static int crash_errno;

__attribute__((constructor)) static void begin(void) {
    prefix = getenv("CRASH_PREFIX");
    const char *file = getenv("CRASH_COUNT"), *at = getenv("CRASH_AT");
    const char *error = getenv("CRASH_ERRNO"), *times = getenv("CRASH_FOR");
    crash_at = at ? strtoull(at, NULL, 10) : 0;
    crash_errno = error ? atoi(error) : 0;
    crash_for = times ? strtoull(times, NULL, 10) : 1;
    if (!prefix || !file) return;
    int (*real_open)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    int fd = real_open(file, O_RDWR | O_CREAT, 0600);
    if (fd < 0 || ftruncate(fd, 8)) return;
    void *page = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED) counter = page;
}

/* Returns whether the change must fail; errno is set then. */
static int changed(const char *path) {
    if (!counter || !path || strncmp(path, prefix, strlen(prefix))) return 0;
    uint64_t n = __sync_add_and_fetch(counter, 1);
    if (!crash_at || n < crash_at || n >= crash_at + crash_for) return 0;
    if (!crash_errno) kill(0, SIGKILL);
    errno = crash_errno;
    return 1;
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = dlsym(RTLD_NEXT, #name)
#define WITH_MODE(flags, last) mode_t mode = 0; if ((flags) & O_CREAT) { va_list a; va_start(a, last); mode = va_arg(a, mode_t); va_end(a); }

int open(const char *p, int f, ...) { WITH_MODE(f, f) REAL(open); if ((f & O_CREAT) && changed(p)) return -1; return real(p, f, mode); }
int open64(const char *p, int f, ...) { WITH_MODE(f, f) REAL(open64); if ((f & O_CREAT) && changed(p)) return -1; return real(p, f, mode); }
int openat(int d, const char *p, int f, ...) { WITH_MODE(f, f) REAL(openat); if ((f & O_CREAT) && changed(p)) return -1; return real(d, p, f, mode); }
int openat64(int d, const char *p, int f, ...) { WITH_MODE(f, f) REAL(openat64); if ((f & O_CREAT) && changed(p)) return -1; return real(d, p, f, mode); }
int rename(const char *a, const char *b) { REAL(rename); if (changed(b)) return -1; return real(a, b); }
int renameat(int d, const char *a, int e, const char *b) { REAL(renameat); if (changed(b)) return -1; return real(d, a, e, b); }
int link(const char *a, const char *b) { REAL(link); if (changed(b)) return -1; return real(a, b); }
int unlink(const char *p) { REAL(unlink); if (changed(p)) return -1; return real(p); }
int mkdir(const char *p, mode_t m) { REAL(mkdir); if (changed(p)) return -1; return real(p, m); }
int rmdir(const char *p) { REAL(rmdir); if (changed(p)) return -1; return real(p); }
int renameat2(int d, const char *a, int e, const char *b, unsigned f) { REAL(renameat2); if (changed(b)) return -1; return real(d, a, e, b, f); }
int unlinkat(int d, const char *p, int f) { REAL(unlinkat); if (changed(p)) return -1; return real(d, p, f); }
int mkdirat(int d, const char *p, mode_t m) { REAL(mkdirat); if (changed(p)) return -1; return real(d, p, m); }
