/* Open event streams (arm/stream.h) on their connections.
 *
 * A parked stream holds no thread: its connection is suspended until there is something to send. What
 * it holds is its connection, its call and, while something waits to be sent, that text, up to a
 * limit; a client that does not take it is cut off and may resume where it was.
 *
 * Locks: `registry` (who is open, where the log stands; the log is read under it), then `texts` (what is
 * to be sent, who is parked), which libmicrohttpd's threads take. Requests are answered, and snapshots
 * made, under neither: a stream is handed what came since its own when it is registered. */
#pragma once

#include "arm/stream.h"

#include <microhttpd.h>

struct streams;
struct stream;

struct streams_config {
	struct arm_engine *engine;
	unsigned per_principal; /* open at once */
	int beat_ms;            /* heartbeat, and a look whether the caller still may */
	/* The client is late unless it takes something within so many seconds; 0: it owes nothing. */
	void (*deadline)(void *owner, int seconds);
};

struct streams *streams_create(const struct streams_config *cfg);
/* After the last stream was closed. */
void streams_destroy(struct streams *all);

/* owner is for deadline(); authorization and whatever req points to live until stream_close(). Asks
 * the engine: done is called at once, and finds in stream_is_open() whether to answer with
 * stream_response(). */
void stream_open(struct streams *all, struct stream **ret, struct MHD_Connection *conn,
		 struct arm_request *req, const char *last_event_id, void *owner, arm_done_fn *done,
		 void *arg);
bool stream_is_open(const struct stream *st);
struct MHD_Response *stream_response(struct stream *st);
/* The connection is gone; NULL is fine. */
void stream_close(struct stream *st);

/* Hands out what is new, heartbeats, ends those whose callers may not any more. */
void streams_tick(struct streams *all);
/* Ends all; they are resumed, and none parks any more. */
void streams_stop(struct streams *all);

struct streams_count {
	size_t n_open, n_bytes;
	uint64_t n_opened, n_events, n_slow, n_ended;
};
struct streams_count streams_count(struct streams *all);
