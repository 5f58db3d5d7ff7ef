/* Event streams: what happens to resources, in the order in which it was committed, for whoever may
 * read them. Paths are {resource}/providers/Wayleave.Events/stream for an aggregate, and
 * /subscriptions/S/providers/Wayleave.Events/stream.
 *
 * The texts are server-sent events. A cursor "EPOCH.SEQ" is the id of every event:
 *
 *   snapshot   {"resources":[..],"truncated":false}    first, unless Last-Event-ID could be resumed
 *   gap        {"reason":".."}                         before a snapshot: events were missed
 *   resource   {"id","type","etag","provisioningState",..}   also "Deleted"
 *   operation  {"id","status","target","what"}
 *   session    as the provider says (arm_tell())
 *
 * A stream is opened through arm_handle(); what follows is fetched for all open streams together by
 * arm_stream_news(). Nothing is kept here for an open one: it is its owner's struct. */
#pragma once

#include "arm/engine.h"
#include "base/buf.h"
#include "base/map.h"

struct arm_stream {
	struct arena *arena;       /* lives as long as the stream: whose it is, and what it sees */
	const char *last_event_id; /* NULL: none */
	struct buf text; /* out: the first events, or nothing when the request was refused */
	bool is_open;    /* out */
	struct arm_caller caller;
	const char *sub;   /* fold */
	const char *scope; /* fold of the aggregate or of the subscription */
	const char *type;  /* "Microsoft.Network/expressRouteCircuits"; NULL: a subscription */
	int64_t seq;       /* of the last event it has, or could not see */
};

struct arm_stream_event {
	int64_t seq;
	const char *sub, *target; /* folds */
	const char *text;         /* the whole event */
	size_t len;
	struct arm_snapshot *s;
	struct map *seen; /* who may read what, asked once a round */
};
typedef void arm_stream_fn(void *arg, const struct arm_stream_event *ev);
/* Calls fn for what has come after *seq, at most some hundreds, and moves *seq; -1: begins now. */
int arm_stream_news(struct arm_engine *en, int64_t *seq, arm_stream_fn *fn, void *arg,
		    struct err *e);
/* Is this one's? Inside fn. */
bool arm_stream_wants(const struct arm_stream *st, const struct arm_stream_event *ev);
/* Is the caller still known and may he still see? 1, 0, or a failure of the store. */
int arm_stream_check(struct arm_engine *en, struct arm_stream *st, const char *authorization,
		     struct err *e);
/* The end of a path says so; nothing else is looked at. */
bool arm_stream_is_path(const char *path);
/* ": heartbeat", with the cursor, so that an idle client's does not grow old. */
void arm_stream_heartbeat(struct arm_engine *en, int64_t seq, struct buf *out);
/* The last event of a stream that the server ends. */
void arm_stream_end(const char *reason, struct buf *out);
