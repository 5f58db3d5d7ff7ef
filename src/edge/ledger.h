/* What of the meters is on disk and what is not: the engine under meter.c. It reads no clock and
 * writes no file.
 *
 * A cut is the meters as they were at one moment. Cuts go to the journal one after the other; a
 * reading counts as journalled when its cut is on disk, not before, and a slot may be reused when
 * its last reading is journalled and acknowledged. A second's cut that cannot be made or written is
 * dropped, for the next second has the same counts and more. An hour's, or one at which the price
 * changes, waits its turn and is tried until it is written: its counts belong to that moment. */
#pragma once

#include "datapath/edge.h"
#include "fabric/journal.h"

enum { LEDGER_CUTS = 256 }; /* that wait while the disk is full; beyond, cuts are refused */

struct cut {
	enum journal_cause cause;
	int64_t utc_us;
	struct journal_reading *readings;
	unsigned n;
	struct cut *next;
};

struct ledger;
/* sequence: of the last entry on disk, 0 = none. */
struct ledger *ledger_create(uint64_t sequence);
void ledger_destroy(struct ledger *l); /* NULL is fine */
/* A meter's count now. */
void ledger_read(struct ledger *l, const struct datapath_reading *r);
/* Whose it is; the names outlive the domain, until the last reading is in. */
void ledger_name(struct ledger *l, const struct datapath_reading *r, const char *circuit,
		 const char *domain);
/* Cuts what has moved since the last cut on disk; at an hour, everything. False: too many wait. */
bool ledger_cut(struct ledger *l, enum journal_cause cause, int64_t utc_us);
/* The cut to write now, NULL without one. It is the ledger's and stays until ledger_written(). */
const struct cut *ledger_next(const struct ledger *l);
/* The outcome: the sequence of its entry, 0 = it is not on disk. */
void ledger_written(struct ledger *l, uint64_t sequence);
/* Of the last entry on disk. */
uint64_t ledger_sequence(const struct ledger *l);
/* A slot whose meter has ended, its last reading on disk, in an entry up to sequence; it is
 * forgotten. False: there is none. */
bool ledger_settle(struct ledger *l, uint64_t acknowledged, uint32_t *ret_slot);
