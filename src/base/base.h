/* The words every file uses: attributes, cleanup by scope, ownership, small macros.
 *
 * AUTO(T) p = ...;   calls T_destroy(p) on every way out of the scope (declare with CLEANUP(T)).
 * TAKE(p)            moves ownership out of p and leaves NULL.
 */
#pragma once

#include "base/ban.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#define NODISCARD __attribute__((warn_unused_result))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args), nonnull(fmt)))
#define UNUSED __attribute__((unused))
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define CONTAINER_OF(p, T, member) ((T *)((char *)(p)-offsetof(T, member)))

#define TAKE(p) \
	({ \
		__typeof__(p) taken_ = (p); \
		(p) = NULL; \
		taken_; \
	})

/* Declares what AUTO(T) needs; put it below T_destroy() in T's header. */
#define CLEANUP(T) \
	static inline UNUSED void T##_cleanup(struct T **p_) \
	{ \
		T##_destroy(*p_); \
	}
#define AUTO(T) __attribute__((cleanup(T##_cleanup))) struct T *

static inline UNUSED void
base_free_cleanup(void *p)
{
	free(*(void **)p);
}
#define AUTO_FREE __attribute__((cleanup(base_free_cleanup)))

static inline UNUSED void
base_close_cleanup(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define AUTO_CLOSE __attribute__((cleanup(base_close_cleanup))) int
