/* An agent against a controller of the test's making (agent.py): says each event on a line, ends when
 * its input does. agent_drive URL CA CERT KEY TOKEN */
#include "fabric/agent.h"

#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

static void
say(struct agent *a, const struct agent_event *ev)
{
	static const char *const words[] = { "poll", "acknowledged", "online", "offline",
					     "certificate" };

	printf("%s %s\n", words[ev->kind], ev->text);
	fflush(stdout);
	if (ev->kind == AGENT_POLL)
		agent_set_cursor(a, json_string_value(json_object_get(ev->body, "cursor")));
	json_decref(ev->body);
}

int
main(int argc, char **argv)
{
	struct agent_event ev;
	struct agent *a;

	if (argc != 6)
		return 2;
	if (agent_start(&(struct agent_config){ .url = argv[1],
						.ca_file = argv[2],
						.cert_file = argv[3],
						.key_file = argv[4],
						.token = argv[5],
						.node = "edge-a",
						.cursor = "" },
			&a, NULL) < 0)
		return 1;
	for (;;) {
		struct pollfd fds[] = { { .fd = agent_fd(a), .events = POLLIN },
					{ .fd = STDIN_FILENO, .events = POLLIN } };

		poll(fds, 2, -1);
		while (agent_next(a, &ev))
			say(a, &ev);
		if (fds[1].revents)
			break;
	}
	agent_stop(a);
	return 0;
}
