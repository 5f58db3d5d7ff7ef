/* See local.h. One JSON line there, one back. */
#include "cli/local.h"
#include "base/mem.h"

#include <jansson.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { ANSWER_MAX = 64 << 20, TIMEOUT_S = 10 };

static int
connect_to(const struct cli *c, const char *node, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct timeval limit = { TIMEOUT_S, 0 };
	int n = snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s/ctl.sock", cli_run_dir(c), node);
	int fd, r = cli_run_check(false, e);

	if (r < 0)
		return r;
	if (n < 0 || (size_t)n >= sizeof(a.sun_path))
		return err_set(e, -ENAMETOOLONG, "the path of %s's socket is too long", node);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_errno(e, "socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		r = err_errno(e, "%s", a.sun_path);
		close(fd);
		return r;
	}
	return fd;
}

static int
ask(int fd, const json_t *question, struct buf *answer, struct err *e)
{
	AUTO_FREE char *line = json_dumps(question, JSON_COMPACT);
	char block[65536];
	ssize_t n;

	if (dprintf(fd, "%s\n", line) < 0)
		return err_errno(e, "write");
	while ((n = read(fd, block, sizeof(block))) > 0) {
		buf_put(answer, block, (size_t)n);
		if (block[n - 1] == '\n')
			return 0;
		if (answer->n > ANSWER_MAX)
			return err_set(e, -EMSGSIZE, "the answer is larger than %d MiB",
				       ANSWER_MAX >> 20);
	}
	return n < 0 ? err_errno(e, "read") : err_set(e, -EPIPE, "it closed without an answer");
}

json_t *
local_query(const struct cli *c, const char *node, const char *query, const char *object,
	    struct err *e)
{
	AUTO_CLOSE fd = connect_to(c, node, e);
	AUTO_BUF answer = { 0 };
	json_t *question, *reply, *result = NULL;
	const char *text;
	int r;

	if (fd < 0)
		return NULL;
	question = json_pack("{s:s, s:s}", "query", query, "object", object ? object : "");
	r = ask(fd, question, &answer, e);
	json_decref(question);
	if (r < 0)
		return NULL;
	reply = json_loadb((const char *)answer.p, answer.n, 0, NULL);
	text = json_string_value(json_object_get(reply, "text"));
	if (json_object_get(reply, "result"))
		result = json_incref(json_object_get(reply, "result"));
	else
		err_set(e, -EINVAL, "%s", text ? text : "the answer makes no sense");
	json_decref(reply);
	return result;
}

int
local_query_command(struct cli *c)
{
	struct err e = { 0 };
	json_t *v = local_query(c, c->args[0], c->args[1], c->n_args > 2 ? c->args[2] : NULL, &e);

	if (!v)
		return cli_fail(
			e.code == -ENOENT || e.code == -ECONNREFUSED ? CLI_NOT_FOUND : CLI_FAILED,
			"%s: %s%s", c->args[0], e.text,
			e.code == -ENOENT
				? "; does it run? `wayleave up` starts edge-a, edge-b, host-1"
				: "");
	cli_print_json(v);
	json_decref(v);
	return CLI_OK;
}
