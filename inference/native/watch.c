/* A thread that ends the process once nobody has said for a while that it turns. It is C because a
 * thread of Python can't act while another holds the interpreter's lock for ever. */

#ifndef _WIN32
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crf.h"

/* Seconds in which stderr must take what is written; nobody may read it. */
#define TELLING 5

struct watch {
    atomic_int missed; /* ticks since it last turned; negative: it is over */
    int most, signal;
    double tick;
    char message[256];
};

static void give_up(const struct watch *watch) {
    sigset_t told;
    signal(SIGALRM, SIG_DFL);
    alarm(TELLING);
    if (write(STDERR_FILENO, watch->message, strlen(watch->message)) >= 0) {
        sigemptyset(&told);
        sigaddset(&told, watch->signal);
        pthread_sigmask(SIG_UNBLOCK, &told, NULL);
        raise(watch->signal); /* its handler, in C too, writes what the threads do */
    }
    _exit(1);
}

/* Ticks are counted, not seconds: a process that was stopped for a while has missed one. */
static void *look(void *argument) {
    struct watch *watch = argument;
    const time_t whole = (time_t)watch->tick;
    const struct timespec tick = {whole, (long)(1e9 * (watch->tick - (double)whole))};
    for (;;) {
        nanosleep(&tick, NULL);
        const int missed = atomic_fetch_add(&watch->missed, 1);
        if (missed < 0) break;
        if (missed >= watch->most) give_up(watch);
    }
    free(watch);
    return NULL;
}

/* Begin: after `most` ticks without a turn `message` is written, `signal` raised and the process
 * ended with 1. Returns the watch, or null where there is no memory or no thread to be had. */
EXPORT struct watch *tagbelt_watch(double tick, int most, int signal, const char *message) {
    struct watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) return NULL;
    watch->tick = tick, watch->most = most, watch->signal = signal;
    strncpy(watch->message, message, sizeof watch->message - 1);
    sigset_t all, before;
    pthread_t thread;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* a new thread has the mask of its maker */
    const int failed = pthread_create(&thread, NULL, look, watch);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        free(watch);
        return NULL;
    }
    pthread_detach(thread);
    return watch;
}

/* It turns; or, by `is_over`, need not any more, and the watch is no longer to be used. */
EXPORT void tagbelt_turned(struct watch *watch, int is_over) {
    atomic_store(&watch->missed, is_over ? -(1 << 30) : 0);
}
#endif
