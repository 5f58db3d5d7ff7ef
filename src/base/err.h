/* Errors with context. Functions return 0 or a negative errno; struct err carries the text for
 * people. It may be NULL where nobody will read it. The innermost cause is set first and wrapped
 * on the way up: "open x.db: migrate: disk full". */
#pragma once

#include "base/base.h"

struct err {
	int code; /* negative errno, 0 if unset */
	char text[512];
};

/* Both return code, so that "return err_set(e, -EINVAL, ...)" reads as one step. */
int err_set(struct err *e, int code, const char *fmt, ...) PRINTF(3, 4);
int err_wrap(struct err *e, int code, const char *fmt, ...) PRINTF(3, 4);
/* err_set() with "what: strerror(errno)" and -errno. */
int err_errno(struct err *e, const char *fmt, ...) PRINTF(2, 3);
