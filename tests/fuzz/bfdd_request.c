/* Messages of bfdd's clients, any bytes in them, one after the other: sessions are added, changed and
 * removed without sockets and without packet maps. */
#include "scratch.h"

#define main bfdd_main
#include "main/bfdd.c" /* NOLINT(bugprone-suspicious-include): its requests are its own business */
#undef main

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bfdd_state daemon_state = {
	.epoll = -1, .timer = -1, .signals = -1, .listener = -1, .keeper = -1
};

static void
say(const struct bfdd_msg *from)
{
	struct client client = { -1 }; /* reads no answers */
	struct bfdd_msg m = *from;
	struct err e = { 0 };

	serve(&daemon_state, &client, &m, (struct mono){ 1000000 }, &e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bfdd_msg m = { .version = BFDD_VERSION };
	struct map_iter it = { 0 };
	struct err e;

	if (!daemon_state.file) {
		log_init("fuzz", LOG_ERROR);
		scratch_make();
		for (size_t i = 0; i < CLIENTS; i++)
			daemon_state.clients[i].fd = -1;
		if (bfdstate_open(scratch_path, &daemon_state.file, &e) < 0)
			abort();
	}
	for (; size >= 2; data += 1 + MIN(size - 1, sizeof(m.session)),
			  size -= 1 + MIN(size - 1, sizeof(m.session))) {
		m.type = data[0] % (BFDD_TYPES + 1);
		memset(&m.session, 0, sizeof(m.session));
		memcpy(&m.session, data + 1, MIN(size - 1, sizeof(m.session)));
		say(&m);
	}
	m.type = BFDD_BEGIN;
	say(&m);
	m.type = BFDD_END;
	say(&m);
	if (map_next(&daemon_state.by_link, &it) || map_next(&daemon_state.by_peer, &it))
		abort(); /* a session that nobody wants */
	return 0;
}
