/* The usage journal: cumulative meter readings, appended every second, at each UTC hour and when a
 * revision changes a price; chained by hash and signed with the edge's meter key (Ed25519).
 *
 * One JSON line an entry:
 *   { "boot": "<16 hex>", "sequence": 7, "time": <utc us>, "cause": "second" | "hour" | "change" |
 *     "start" | "close",
 *     "readings": [ { "circuit": "<key>", "domain": "<key>", "number": 17, "slot": 2, "epoch": 3,
 *                     "bytesIn": 1, "packetsIn": 1, "bytesOut": 1, "packetsOut": 1 } ],
 *     "previous": "<64 hex>", "hash": "<64 hex>", "signature": "<128 hex>" }
 * in: from the customer; out: towards the customer. hash = SHA-256 over the line's canonical JSON
 * (sorted keys, no blanks) without hash and signature; previous = the hash of the entry before (64
 * zeros for the very first). boot names one run of counters that only grow: a new one begins when
 * the meters were lost (machine restart). A reading is of one meter: (boot, slot, epoch) names it for
 * ever, its counts never decrease, and it counts one direction (the other's are 0): a domain has two.
 * circuit and domain are "" in the rare case that both are forgotten; number is always there. A
 * second's entry has only what changed.
 *
 * Entries go to files STATE/journal/<first sequence>.jsonl, fsynced; files older than 35 days that
 * are acknowledged are removed. */
#pragma once

#include "base/err.h"

struct json_t;

struct journal_reading {
	const char *circuit, *domain; /* keys */
	uint32_t number, slot, epoch;
	uint64_t bytes_in, packets_in, bytes_out, packets_out;
};

enum journal_cause { JOURNAL_SECOND, JOURNAL_HOUR, JOURNAL_CHANGE, JOURNAL_START, JOURNAL_CLOSE };

struct journal;
/* dir: made if absent; holds the files and meter.key (0600, made at first). Continues the chain
 * found there; a torn last line is cut off. boot: 16 hex digits. */
int journal_open(const char *dir, const char *boot, struct journal **ret, struct err *e);
void journal_close(struct journal *j); /* NULL is fine */
/* Appends one entry and fsyncs. */
int journal_append(struct journal *j, enum journal_cause cause, int64_t utc_us,
		   const struct journal_reading *r, unsigned n, struct err *e);
uint64_t journal_sequence(const struct journal *j); /* of the last entry, 0 = none */
/* Up to max entries after the acknowledged one as a JSON array (new reference). */
struct json_t *journal_pending(struct journal *j, unsigned max);
/* The controller has everything up to sequence. */
int journal_acknowledge(struct journal *j, uint64_t sequence, struct err *e);
/* Verifies one entry against the previous hash (in: previous, out: its own hash; 65 bytes each,
 * NUL-terminated). public_key: 64 hex digits, NULL = do not check the signature. */
int journal_verify(const struct json_t *entry, char previous[65], const char *public_key,
		   struct err *e);
/* 64 hex digits of the meter key's public half. */
const char *journal_public_key(const struct journal *j);
