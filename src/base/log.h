/* Structured log lines on stderr: "<time> level area message key=value ...". Only http, edge,
 * host, cli, supervise and main log: once, where the failure is dealt with, never a secret.
 * The message is followed by key=value pairs written by the caller in the format; values with
 * blanks are quoted by the caller with %s inside "". */
#pragma once

#include "base/base.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* program: the area shown in each line, borrowed for ever. Level default LOG_INFO. */
void log_init(const char *program, enum log_level level);
void log_line(enum log_level level, const char *fmt, ...) PRINTF(2, 3);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
