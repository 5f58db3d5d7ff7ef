/* bfdd's sessions in a file that outlives it: mapped shared, so that a store is all it takes, and a
 * killed bfdd's successor goes on where it was, with the same discriminators. The file lies in the
 * runtime directory (memory, gone after a reboot).
 *
 * A slot holds two copies of the session; the index of the good one is stored last, so a process
 * that dies between two stores leaves the older copy whole. Only one process uses it at a time. */
#pragma once

#include "bfd/session.h"
#include "supervise/bfdd.h"

#define BFDSTATE_FILE "bfd.state"
enum { BFDSTATE_SLOTS = 65536 };

struct bfdstate_slot {
	uint32_t is_used;
	uint32_t current;    /* which of the copies */
	uint32_t is_link_up; /* the client's word */
	uint32_t spare;
	struct bfdd_session cfg;
	struct bfd_saved copy[2];
};

struct bfdstate;
/* A file of another layout is emptied. */
int bfdstate_open(const char *run_dir, struct bfdstate **ret, struct err *e);
void bfdstate_destroy(struct bfdstate *s);
CLEANUP(bfdstate)

/* A free slot, marked used by the first save; NULL when full. */
struct bfdstate_slot *bfdstate_alloc(struct bfdstate *s);
void bfdstate_free(struct bfdstate *s, struct bfdstate_slot *slot);
void bfdstate_save(struct bfdstate_slot *slot, const struct bfd_session *session);
const struct bfd_saved *bfdstate_saved(const struct bfdstate_slot *slot);
/* uint32_t it = 0; while ((slot = bfdstate_next(s, &it))) ...: the used ones. */
struct bfdstate_slot *bfdstate_next(struct bfdstate *s, uint32_t *it);
