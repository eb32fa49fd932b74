/* The C interface of native step handlers, version 1: what a shared library exports for Tasker's NativeStepHandler.
 *
 * A handler is called from many threads at once, without the interpreter's lock. If it cannot bear that, it takes a lock
 * of its own. It must return: an abort, a fault of memory or exit() ends the worker, as in any C program.
 */
#ifndef TASKER_HANDLER_H
#define TASKER_HANDLER_H

#include <stddef.h>
#include <stdint.h>

#define TASKER_ABI_VERSION 1

#if defined(_WIN32)
#define TASKER_EXPORT __declspec(dllexport)
#else
#define TASKER_EXPORT __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The shape of a handler; any number of them, under names of their own, lie in one library.
 *
 * in, in_len    JSON in UTF-8, in_len bytes, no NUL at the end; not to be changed, not to be kept after the return.
 * out, out_len  Where the handler puts its output, JSON in UTF-8 without NUL: an address that tasker_free takes back,
 *               and a length of at most 8 MiB. They begin as NULL and 0; left so, the step has no results.
 *
 * Returns 0 when the step is done: its results are the output. Any other status is a failure; the output then is
 * {"error": "text", "retryable": true or false, "code": "TEXT"}. With retryable true the step may be tried again, else
 * it fails for good; code may be left out.
 */
typedef int32_t tasker_handler(const uint8_t *in, size_t in_len, uint8_t **out, size_t *out_len);

/* Returns TASKER_ABI_VERSION of the header that the library was compiled with. */
TASKER_EXPORT uint32_t tasker_abi_version(void);

/* Takes back what one call of a handler gave, once; called whether the handler failed or not. */
TASKER_EXPORT void tasker_free(uint8_t *out, size_t out_len);

#ifdef __cplusplus
}
#endif

#endif
