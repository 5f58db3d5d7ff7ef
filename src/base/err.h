/* Errors with context. Functions return 0 or a negative errno; struct err carries the text for
 * people. It may be NULL where nobody will read it. The innermost cause is set first and wrapped
 * on the way up: "open x.db: migrate: disk full". */
#pragma once

#include "base/base.h"

struct err {
	int code; /* negative errno, 0 if unset */
	char text[512];
};

/* Both give code, so that "return err_set(e, -EINVAL, ...)" reads as one step. They are macros so
 * that compilers and analysers see the constant: a caller's failure path is then known to fail. */
#define err_set(e, code, ...) \
	({ \
		const int err_code_ = (code); \
		err_record((e), err_code_, __VA_ARGS__); \
		err_code_; \
	})
#define err_wrap(e, code, ...) \
	({ \
		const int err_code_ = (code); \
		err_record_outer((e), err_code_, __VA_ARGS__); \
		err_code_; \
	})
/* err_set() with "what: strerror(errno)" and -errno. */
int err_errno(struct err *e, const char *fmt, ...) PRINTF(2, 3);

void err_record(struct err *e, int code, const char *fmt, ...) PRINTF(3, 4);
void err_record_outer(struct err *e, int code, const char *fmt, ...) PRINTF(3, 4);
