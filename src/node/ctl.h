/* The local query socket RUN/ctl.sock (mode 0600): JSON lines, one question, one answer.
 *
 *   {"query":"routes","object":"contoso/private","limit":100}
 *   {"status":"ok","result":{"value":[...]}}
 *   {"status":"ok","result":{...}}      or      {"status":"error","text":"..."}
 *
 * Clients may stay connected and ask on. Caps: 16 clients, 64 KiB a question. */
#pragma once

#include "base/err.h"

#include <uv.h>

struct json_t;

/* Sets *ret (a new reference) on success. object is "" when absent. */
typedef int ctl_query_fn(void *arg, const char *query, const char *object, unsigned limit,
			 struct json_t **ret, struct err *e);

struct ctl;
int ctl_open(uv_loop_t *loop, const char *path, ctl_query_fn *fn, void *arg, struct ctl **ret,
	     struct err *e);
/* Closes; memory goes with the loop's next turns. NULL is fine. */
void ctl_close(struct ctl *c);
