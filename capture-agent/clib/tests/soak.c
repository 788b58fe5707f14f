/* Calls from eight threads: right ones, wrong ones and such as no program should make. Ends with 0 when every call came back
 * as it must, no byte beyond a buffer changed, and every text ended with a NUL.
 *
 *   soak CALLS HTTP_EVERY CONFIG_JSON [reopen|racy]
 *
 * `reopen`: one thread closes the session and opens it again all the while. `racy`: two threads give the same buffer, which no
 * program may; whoever looks for races must find one.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "countersign.h"

#define THREADS 8
#define GUARD 32
#define ROOM 4096

static long calls, http_every;
static const char *config;
static int reopens, is_racy;
static char shared[ROOM];
static long failed[THREADS], over_http[THREADS], answered[THREADS];

struct worker {
    int number;
};

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Whether a buffer of `len` bytes holds a text, and what lies behind it is as it was. */
static int whole(const unsigned char *buffer, int32_t len)
{
    int i;
    for (i = len < 0 ? 0 : len; i < (len < 0 ? 0 : len) + GUARD; i++) {
        if (buffer[i] != 0xA5) {
            return 0;
        }
    }
    return len <= 0 || memchr(buffer, 0, (size_t)len) != NULL;
}

static int32_t one(uint32_t *state, long i, char *out, int32_t *len, int thread)
{
    char request[256];
    *len = (int32_t)(next(state) % 300);
    if (i % http_every == 0) {
        *len = ROOM;
        over_http[thread]++;
        switch (next(state) % 4) {
        case 0:
            return countersign_call("health", "{}", out, *len);
        case 1:
            return countersign_result("SOAK-UNKNOWN", out, *len);
        case 2:
            snprintf(request, sizeof request, "{\"transaction\": \"SOAK-%d\", \"scene\": \"settlement\", \"card\": \"A10020000\"}", thread);
            return countersign_call("open", request, out, *len);
        default:
            *len = (int32_t)(next(state) % 64) + 1;
            return countersign_call("health", "", out, *len);
        }
    }
    switch (next(state) % 10) {
    case 0:
        return countersign_call(NULL, "{}", out, *len);
    case 1:
        return countersign_call("health", NULL, out, *len);
    case 2:
        return countersign_call("no such code", "{}", out, *len);
    case 3:
        return countersign_call("open", "{\"transaction\": ", out, *len);
    case 4:
        return countersign_call("open", "\xff\xfe\xff", out, *len);
    case 5:
        *len = -(int32_t)(next(state) % 1000);
        return countersign_result("T", out, *len);
    case 6:
        return countersign_confirm("{\"transaction\": 7}", out, *len);
    case 7:
        return countersign_reverse("[]", out, *len);
    case 8:
        *len = 0;
        return countersign_call("health", "{}", NULL, 100);
    default:
        return countersign_init("{\"dir\": \"/nowhere\"}", out, *len);
    }
}

static void *work(void *argument)
{
    int thread = ((struct worker *)argument)->number;
    uint32_t state = (uint32_t)thread + 1u;
    unsigned char *buffer = malloc(ROOM + GUARD);
    long i;
    if (buffer == NULL) {
        failed[thread]++;
        return NULL;
    }
    for (i = 0; i < calls / THREADS; i++) {
        int32_t len, code;
        if (reopens && thread == 0 && i % 25 == 0) {
            countersign_close();
            countersign_init(config, (char *)buffer, ROOM);
        }
        if (is_racy && thread < 2) {
            countersign_call("no such code", "{}", shared, ROOM);
        }
        memset(buffer, 0xA5, ROOM + GUARD);
        code = one(&state, i, (char *)buffer, &len, thread);
        if (!whole(buffer, len)) {
            failed[thread]++;
        }
        if (code == COUNTERSIGN_OK) {
            answered[thread]++;
        } else if (code == COUNTERSIGN_TOO_SHORT) {
            int32_t needed = countersign_last(NULL, 0);
            char *large = needed > 0 ? malloc((size_t)needed) : NULL;
            if (large == NULL || countersign_last(large, needed) != COUNTERSIGN_OK || (int32_t)strlen(large) + 1 != needed) {
                failed[thread]++;
            }
            free(large);
        } else if (code > 0 || code == COUNTERSIGN_INTERNAL
            || (!reopens && (code == COUNTERSIGN_NO_AGENT || code == COUNTERSIGN_NOT_OPEN))) {
            failed[thread]++;
        }
    }
    free(buffer);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    char err[512];
    long wrong = 0, http = 0, good = 0;
    int i;

    if ((argc != 4 && argc != 5) || (calls = atol(argv[1])) < THREADS || (http_every = atol(argv[2])) < 1) {
        fprintf(stderr, "usage: soak CALLS HTTP_EVERY CONFIG_JSON [reopen|racy]\n");
        return 2;
    }
    config = argv[3];
    reopens = argc == 5 && strcmp(argv[4], "reopen") == 0;
    is_racy = argc == 5 && strcmp(argv[4], "racy") == 0;
    if (countersign_call("health", "", err, (int32_t)sizeof err) != COUNTERSIGN_NOT_OPEN
        || countersign_init(config, err, (int32_t)sizeof err) != COUNTERSIGN_OK) {
        fprintf(stderr, "%s\n", err);
        return 1;
    }
    for (i = 0; i < THREADS; i++) {
        workers[i].number = i;
        if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0) {
            return 1;
        }
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        wrong += failed[i];
        http += over_http[i];
        good += answered[i];
    }
    if ((countersign_close() != COUNTERSIGN_OK && !reopens) || countersign_close() != COUNTERSIGN_NOT_OPEN) {
        wrong++;
    }
    printf("%ld calls from %d threads, %ld over HTTP, %ld answered, %ld wrong\n", calls / THREADS * THREADS, THREADS, http, good, wrong);
    return wrong == 0 && good > 0 ? 0 : 1;
}
