#include "base/log.h"

#include "base/mono.h"

#include <stdarg.h>

static const char *log_program = "wayleave";
static enum log_level log_max = LOG_INFO;

void
log_init(const char *program, enum log_level level)
{
	log_program = program;
	log_max = level;
}

void
log_line(enum log_level level, const char *fmt, ...)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };
	char line[2048], when[32];
	int saved = errno;
	size_t n;
	va_list ap;

	if (level > log_max)
		return;
	snprintf(line, sizeof(line), "%s %s %s ", utc_format(utc_now_us(), when), names[level],
		 log_program);
	n = strlen(line);
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	va_end(ap);
	/* Text from outside may be in a message; a line stays a line. */
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	n = strlen(line);
	line[n++] = '\n';
	/* A failure here has nowhere left to be told. */
	(void)!write(2, line, n);
	errno = saved;
}
