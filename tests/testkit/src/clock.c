/* Preloaded into a program under test: its clocks run ahead by what a file says, and it looks at
 * them often enough to see that they were set. What else waits for time in the kernel does so as
 * ever: TCP's own timers, and locks that are waited for with a bound. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Longest wait for events, in milliseconds. */
#define LOOK 20
#define SECOND 1000000000LL

static const volatile int64_t *ahead;

__attribute__((constructor)) static void find(void) {
    const char *path = getenv("SEALWAX_TEST_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *page = mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) ahead = page;
    close(file);
}

int clock_gettime(clockid_t which, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, which, now);
    int ours = which == CLOCK_REALTIME || which == CLOCK_MONOTONIC || which == CLOCK_BOOTTIME ||
               which == CLOCK_REALTIME_COARSE || which == CLOCK_MONOTONIC_COARSE;
    if (failed || !ahead || !ours) return failed;
    int64_t nanos = now->tv_nsec + *ahead % SECOND;
    now->tv_sec += *ahead / SECOND + nanos / SECOND;
    now->tv_nsec = nanos % SECOND;
    return 0;
}

int epoll_wait(int poll, struct epoll_event *events, int most, int timeout) {
    if (ahead && (timeout < 0 || timeout > LOOK)) timeout = LOOK;
    return (int)syscall(SYS_epoll_pwait, poll, events, most, timeout, NULL, 8);
}
