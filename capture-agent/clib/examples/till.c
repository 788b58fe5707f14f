/* A till in C: opens a transaction, verifies the person, settles, confirms, and takes the settlement back.
 *
 *   cc -std=c99 -Wall -Wextra -Werror -pedantic -I include till.c -lcountersign -o till
 *   ./till '{"dir": "/var/lib/countersign-agent"}' A10020000 20261122-0001
 *
 * What the till does stands in "disposition". A real till reads it with a JSON library; this one looks for the word.
 */
#include <stdio.h>
#include <string.h>

#include "countersign.h"

/* Large enough for every answer with its receipt. */
#define ANSWER_LEN 16384

static char answer[ANSWER_LEN];

/* Every return code counts: below 0 nothing was settled, and the text says what to do. */
static int made(const char *what, int32_t code)
{
    if (code < 0) {
        fprintf(stderr, "%s: %d %s\n", what, (int)code, answer);
        return 0;
    }
    return 1;
}

static int says(const char *word)
{
    return strstr(answer, word) != NULL;
}

/* Asks until there is an answer. The same transaction and the same attempt: nobody is captured twice. */
static int32_t verify(const char *request)
{
    int32_t code;
    int tries;
    for (tries = 0; tries < 3; tries++) {
        code = countersign_call("attempt", request, answer, ANSWER_LEN);
        if (code != COUNTERSIGN_TIMED_OUT && code != COUNTERSIGN_NO_AGENT) {
            break;
        }
    }
    return code;
}

int main(int argc, char **argv)
{
    const char *transaction;
    char request[512];
    const char *checked_by = "";
    int settles = 0, attempt;

    if (argc != 4 || strlen(argv[2]) > 64 || strlen(argv[3]) > 60 || strpbrk(argv[2], "\"\\") || strpbrk(argv[3], "\"\\")) {
        fprintf(stderr, "usage: till CONFIG_JSON CARD TRANSACTION\n");
        return 2;
    }
    transaction = argv[3];
    if (!made("init", countersign_init(argv[1], answer, ANSWER_LEN))) {
        return 1;
    }
    snprintf(request, sizeof request,
             "{\"transaction\": \"%s\", \"scene\": \"settlement\", \"card\": \"%s\", \"operator\": \"0417\"}", transaction, argv[2]);
    if (!made("open", countersign_call("open", request, answer, ANSWER_LEN))) {
        countersign_close();
        return 1;
    }
    for (attempt = 1; attempt <= 3; attempt++) {
        snprintf(request, sizeof request, "{\"transaction\": \"%s\", \"attempt\": %d}", transaction, attempt);
        if (!made("attempt", verify(request)) || !says("\"disposition\":\"retry\"")) {
            break;
        }
    }
    if (says("\"disposition\":\"settle\"") || says("\"disposition\":\"settle_flagged\"")) {
        settles = 1;
    } else if (says("\"disposition\":\"document_check\"")) {
        puts("please show your identity document");
        checked_by = "0417";
        settles = 1;
    } else {
        puts("offer another way; nothing is settled");
        snprintf(request, sizeof request, "{\"transaction\": \"%s\"}", transaction);
        made("cancel", countersign_call("cancel", request, answer, ANSWER_LEN));
    }
    if (settles) {
        /* Here the till settles, with the receipt of the answer. Then it confirms; on a refund it reverses. */
        snprintf(request, sizeof request,
                 "{\"transaction\": \"%s\", \"settlement\": \"S-%s\", \"amount_fen\": 1250, \"document_checked_by\": \"%s\"}",
                 transaction, transaction, checked_by);
        settles = made("confirm", countersign_confirm(request, answer, ANSWER_LEN));
        if (settles) {
            snprintf(request, sizeof request, "{\"transaction\": \"%s\", \"settlement\": \"S-%s\"}", transaction, transaction);
            settles = made("reverse", countersign_reverse(request, answer, ANSWER_LEN));
        }
        if (settles) {
            settles = made("result", countersign_result(transaction, answer, ANSWER_LEN));
            puts(says("\"state\":\"reversed\"") ? "confirmed and reversed" : "not reversed");
        }
    }
    return countersign_close() == COUNTERSIGN_OK && settles ? 0 : 1;
}
