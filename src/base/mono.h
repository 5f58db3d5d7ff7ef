/* Monotonic time in microseconds. Engines get it as an argument; only glue calls mono_now(). */
#pragma once

#include "base/base.h"

struct mono {
	int64_t us;
};

#define MONO_NEVER ((struct mono){ INT64_MAX })

struct mono mono_now(void);
/* Microseconds since 1970-01-01 UTC, for journals and people. */
int64_t utc_now_us(void);
/* "2026-11-22T21:40:00.123456Z" into out[32]. */
const char *utc_format(int64_t us, char out[32]);

static inline struct mono
mono_add_ms(struct mono t, int64_t ms)
{
	return (struct mono){ t.us + ms * 1000 };
}
static inline struct mono
mono_add_us(struct mono t, int64_t us)
{
	return (struct mono){ t.us + us };
}
static inline bool
mono_is_due(struct mono deadline, struct mono now)
{
	return deadline.us <= now.us;
}
static inline struct mono
mono_min(struct mono a, struct mono b)
{
	return a.us <= b.us ? a : b;
}
