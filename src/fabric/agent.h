/* The protocol between a node's agent and the controller, and the agent's end of the link.
 *
 * HTTPS with mutual TLS on the underlay (port 8444). The client certificate's CN is the node's
 * name; a node reads and writes only its own. All bodies are JSON, UTF-8, at most 4 MiB. Cursors
 * are text "EPOCH.REV" (EPOCH: the store's lifetime, any word of [0-9a-z]; REV: decimal) and
 * opaque to the agent.
 *
 *   POST /agent/v1/enrol      without client certificate (server verified by CA hash in the token)
 *     -> { "node": "edge-a", "token": "...", "csr": "<PEM>" }
 *     <- 200 { "certificate": "<PEM>", "ca": "<PEM>" } | 403
 *
 *     The token is for one request: a lost answer may be asked for again with the same.
 *
 *   POST /agent/v1/renew      from two thirds of the certificate's life on
 *     -> { "csr": "<PEM>" }
 *     <- as enrol. The certificate before is good until the new one is first used.
 *
 *   GET /agent/v1/poll?cursor=EPOCH.REV[&wait=SECONDS]     parked up to wait (default 20) seconds
 *     <- 200 { "cursor": "EPOCH.REV", "snapshot": false,
 *              "objects": [ node objects, see node.h ],
 *              "queries": [ { "id": "q1", "kind": "arp", "object": "<key of a domain>",
 *                             "limit": 1000, "deadlineMs": 10000 } ] }
 *     snapshot true: objects is everything; what is not there is gone. An empty cursor asks for
 *     one. Nothing new within wait: 200 with the same cursor and empty arrays.
 *
 *   POST /agent/v1/report
 *     -> { "applied": "EPOCH.REV",
 *          "errors": [ { "kind": "domain", "key": "...", "rev": 17, "text": "..." } ],
 *          "state": { "boot": "<hex>", "program": "wayleave-edged", "version": "0.1.0",
 *                     "domains": { "<key>": { "session": "Established", "since": <utc us>,
 *                                             "prefixes": 12, "bfd": "Up", "reason": "" } },
 *                     "fabric": { "<node>": { "session": "Established", "bfd": "Up" } },
 *                     "nics": { "<key>": { "device": "v0" } } } }
 *     <- 204
 *     Sent after each applied cursor and on each change of state (at most twice a second).
 *
 *   POST /agent/v1/answer
 *     -> { "id": "q1", "status": "ok" | "notFound" | "error", "text": "", "result": { "value": [...] } }
 *     <- 204
 *     Query kinds and rows (ARM-shaped, see arm's circuit tables):
 *       arp             [ { age, interface, ipAddress, macAddress } ]
 *       routes          [ { network, nextHop, locPrf, weight, path } ]
 *       routes_summary  [ { neighbor, v, as, upDown, statePfxRcd } ]
 *       stats           [ { circuit, peering, bytesIn, bytesOut, packetsIn, packetsOut } ]
 *       effective_routes (object: key of a nic)  [ { prefix, source, nextHop } ]
 *
 *   POST /agent/v1/readings
 *     -> { "entries": [ <journal entries, see journal.h> ] }   in order, at most 1000
 *     <- 200 { "acknowledged": { "boot": "<hex>", "sequence": 123 } }
 *
 * Errors: 4xx/5xx with { "error": { "code", "message" } }; the agent retries with back-off 1..30 s
 * and keeps running on its last config. */
#pragma once

#include "base/err.h"

struct json_t;

struct agent_config {
	const char *url;       /* "https://10.255.0.250:8444" */
	const char *ca_file;   /* PEM */
	const char *cert_file; /* PEM; written by enrolment */
	const char *key_file;  /* PEM, 0600; made by enrolment */
	const char *token;  /* for enrolment without a certificate, or with one that has run out or
				* is refused; NULL = never */
	const char *node;   /* name */
	const char *cursor; /* "" = ask for a snapshot */
};

/* What the link hands to its owner. */
enum agent_event_kind {
	AGENT_POLL,         /* body: a poll answer */
	AGENT_ACKNOWLEDGED, /* body: the readings' answer */
	AGENT_ONLINE,       /* the controller answers again; body NULL */
	AGENT_OFFLINE,      /* text: why; body NULL */
	AGENT_CERTIFICATE   /* text: what became of it; body NULL */
};
struct agent_event {
	enum agent_event_kind kind;
	struct json_t *body; /* the receiver's; json_decref() */
	char text[200];
};

/* Runs two threads of its own (the parked poll; the posts in order). Strings are copied. */
struct agent;
int agent_start(const struct agent_config *cfg, struct agent **ret, struct err *e);
void agent_stop(struct agent *a); /* within a second or so; NULL is fine */
/* Readable when agent_next() has something. */
int agent_fd(const struct agent *a);
bool agent_next(struct agent *a, struct agent_event *ret);
/* The poll continues only from a cursor that the owner has taken over. */
void agent_set_cursor(struct agent *a, const char *cursor);
/* Post a body (taken). A newer report replaces one that waits; answers queue (at most 256);
 * readings: one at a time, ask again after AGENT_ACKNOWLEDGED. */
void agent_report(struct agent *a, struct json_t *body);
void agent_answer(struct agent *a, struct json_t *body);
bool agent_readings(struct agent *a, struct json_t *body);
