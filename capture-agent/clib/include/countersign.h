/* The counter's C library: a thin client of the capture agent's local API.
 *
 * Every text is yours: inputs end with a NUL and are at most 65536 bytes; outputs go into your buffer of the stated length, which
 * always ends with a NUL afterwards. A pointer that is null and a length below 1 are refused. Every function may be called by
 * any thread. Every call ends within its time-outs. Made by cbindgen: do not edit.
 */

#ifndef COUNTERSIGN_H
#define COUNTERSIGN_H

#include <stdint.h>
#if defined(_WIN32) && !defined(_WIN64)
#define COUNTERSIGN_STDCALL __stdcall
#else
#define COUNTERSIGN_STDCALL
#endif
#if defined(_WIN32) && !defined(COUNTERSIGN_STATIC)
#define COUNTERSIGN_API __declspec(dllimport)
#else
#define COUNTERSIGN_API extern
#endif


/*
 Done; the answer is in the buffer.
 */
#define COUNTERSIGN_OK 0

/*
 A pointer is null, a length is below 0, or an argument is not of its form. Nothing was sent.
 */
#define COUNTERSIGN_INVALID -1

/*
 The answer does not fit into the buffer. The call was made: `countersign_last` gives its answer, and its length.
 */
#define COUNTERSIGN_TOO_SHORT -2

/*
 `countersign_init` was not called, or `countersign_close` was.
 */
#define COUNTERSIGN_NOT_OPEN -3

/*
 `countersign_init` was called before; `countersign_close` first.
 */
#define COUNTERSIGN_ALREADY_OPEN -4

/*
 The configuration is not in order.
 */
#define COUNTERSIGN_CONFIGURATION -5

/*
 Nothing listens at the agent's address: it is not running. Nothing was sent.
 */
#define COUNTERSIGN_NO_AGENT -6

/*
 No answer within the time. What was asked for may have been done: ask again with the same transaction and attempt.
 */
#define COUNTERSIGN_TIMED_OUT -7

/*
 The agent refuses (HTTP 4xx); the text says why and what to do.
 */
#define COUNTERSIGN_REFUSED -8

/*
 The agent could not do it (HTTP 5xx); the text says why and what to do.
 */
#define COUNTERSIGN_FAILED -9

/*
 What answered is not an agent, or its answer is larger than any of an agent's.
 */
#define COUNTERSIGN_NOT_UNDERSTOOD -10

/*
 The library broke down; the caller did not.
 */
#define COUNTERSIGN_INTERNAL -99

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 Opens the one session of this process. `config_json` (UTF-8, or GBK) is
 `{"dir": "…"}`, the agent's state folder, or `{"address": "127.0.0.1:…", "key": "…"}`; also `encoding` ("utf-8" or
 "gbk", for all other texts both ways), `connect_timeout_ms`, `request_timeout_ms` and `call_timeout_ms`. Asks the agent
 nothing. Returns 0, or a code below 0 and why in `err`, a buffer of `err_len` bytes.
 */
COUNTERSIGN_API int32_t COUNTERSIGN_STDCALL countersign_init(const char *config_json, char *err, int32_t err_len);

/*
 Makes a call: `code` is verify, open, show, attempt, document_check, chip, other_way, proxy, confirm, reverse, cancel,
 operator or health; `in_json` the fields of the local API's resource, and `transaction` where its path names one. Returns
 0 and the answer in `out`, a buffer of `out_len` bytes; or a code below 0 and `{"error": …}` in `out`, cut where it does
 not fit. The agent's code stands in `error.code`.
 */
COUNTERSIGN_API int32_t COUNTERSIGN_STDCALL countersign_call(const char *code, const char *in_json, char *out, int32_t out_len);

/*
 How a transaction stands: its state, the ways that are open, the last answer with its receipt, its settlements.
 `transaction` is its name. Returns as `countersign_call`.
 */
COUNTERSIGN_API int32_t COUNTERSIGN_STDCALL countersign_result(const char *transaction, char *out, int32_t out_len);

/*
 After the settlement: `in_json` has `transaction`, `settlement`, `amount_fen`, and `document_checked_by` where the
 disposition was document_check. Returns as `countersign_call`. What the center makes of it stands in `settlements`.
 */
COUNTERSIGN_API int32_t COUNTERSIGN_STDCALL countersign_confirm(const char *in_json, char *out, int32_t out_len);

/*
 On a refund, days later too: `in_json` has `transaction`, and `settlement` where one of several is taken back. Returns as
 `countersign_call`.
 */
COUNTERSIGN_API int32_t COUNTERSIGN_STDCALL countersign_reverse(const char *in_json, char *out, int32_t out_len);

/*
 The last answer of this thread once more, in full and without a call: for a buffer that was too short. With a null `out`
 and an `out_len` of 0, returns how many bytes it needs, the NUL included.
 */
COUNTERSIGN_API int32_t COUNTERSIGN_STDCALL countersign_last(char *out, int32_t out_len);

/*
 Ends the session. Calls of other threads that are under way end as they would. Returns 0, or a code below 0 where there
 was none.
 */
COUNTERSIGN_API int32_t COUNTERSIGN_STDCALL countersign_close(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* COUNTERSIGN_H */
