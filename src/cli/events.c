/* `wayleave events [CIRCUIT]`: the event stream of the subscription or of a circuit, a line an event,
 * until interrupted. A connection that ends is made anew from the last event on. */
#include "cli/events.h"

#include "base/buf.h"
#include "base/mem.h"
#include "cli/rest.h"

#include <jansson.h>
#include <unistd.h>

enum { MAX_LINE = 4 << 20, AGAIN_SECONDS = 2 };

struct watch {
	const struct cli *c;
	struct buf in;
	char event[32], id[96];
};

/* What an event says in one line: its kind, the state, whose. */
static void
event_print(struct watch *w, const char *data)
{
	json_t *j = json_loads(data, 0, NULL), *one;
	const char *state = NULL;
	static const char *const words[] = { "provisioningState", "status", "session", "reason" };
	size_t i;

	if (w->c->is_json) {
		printf("{\"event\":\"%s\",\"data\":%s}\n", w->event, data);
	} else if (!strcmp(w->event, "snapshot")) {
		json_array_foreach(json_object_get(j, "resources"), i, one)
			printf("%-10s %-14s %s\n", w->event,
			       json_string_value(json_object_get(one, "provisioningState")),
			       json_string_value(json_object_get(one, "id")));
	} else {
		const char *id = json_string_value(json_object_get(j, "target"));

		for (i = 0; i < COUNT(words) && !state; i++)
			state = json_string_value(json_object_get(j, words[i]));
		if (!id)
			id = json_string_value(json_object_get(j, "id"));
		printf("%-10s %-14s %s\n", w->event, state ? state : "-", id ? id : "");
	}
	fflush(stdout);
	json_decref(j);
}

static void
line_take(struct watch *w, const char *line)
{
	if (!strncmp(line, "id: ", 4))
		snprintf(w->id, sizeof(w->id), "%s", line + 4);
	else if (!strncmp(line, "event: ", 7))
		snprintf(w->event, sizeof(w->event), "%s", line + 7);
	else if (!strncmp(line, "data: ", 6))
		event_print(w, line + 6);
}

static bool
on_text(void *arg, const char *p, size_t n)
{
	struct watch *w = arg;
	char *end;

	if (w->in.n + n > MAX_LINE)
		return false;
	buf_put(&w->in, p, n);
	while ((end = memchr(w->in.p, '\n', w->in.n)) != NULL) {
		size_t k = (size_t)(end - (char *)w->in.p);

		*end = '\0';
		line_take(w, (const char *)w->in.p);
		buf_drop(&w->in, k + 1);
		if (!w->in.n)
			break;
	}
	return true;
}

int
events_watch(struct cli *c)
{
	AUTO(rest) r = NULL;
	struct watch w = { .c = c };
	AUTO_FREE char *scope = NULL, *path = NULL;
	const char *sub;
	int x = rest_open(c, "customer", &r);

	if (x != CLI_OK)
		return x;
	sub = c->subscription ? c->subscription : rest_env(r, "SUBSCRIPTION");
	if (!c->n_args)
		scope = mem_printf("/subscriptions/%s", sub);
	else if (c->args[0][0] == '/')
		scope = mem_strdup(c->args[0]);
	else
		scope = mem_printf("/subscriptions/%s/resourceGroups/%s/providers/"
				   "Microsoft.Network/expressRouteCircuits/%s",
				   sub, c->group, c->args[0]);
	path = mem_printf("%s/providers/Wayleave.Events/stream", scope);
	while ((x = rest_stream(r, path, w.id, on_text, &w)) == CLI_OK) {
		buf_reset(&w.in);
		sleep(AGAIN_SECONDS);
	}
	buf_fini(&w.in);
	return x;
}
