/* bfdd as edged and hostd see it: what sessions and link states they want, kept over bfdd's
 * restarts, and the last event of each link. */
#pragma once

#include "supervise/bfdd.h"

#include <uv.h>

struct links;
typedef void links_event_fn(void *arg, const struct bfdd_event *ev);

/* Nothing is said to bfdd before links_start(): a restarted client first collects what it wants. */
struct links *links_create(uv_loop_t *loop, const char *run_dir, links_event_fn *fn, void *arg);
void links_start(struct links *l);
void links_destroy(struct links *l);

void links_session(struct links *l, const struct bfdd_session *s);
/* No BFD session on that link any more; its word (links_word) stays. */
void links_session_end(struct links *l, uint32_t link);
/* Our own word about the link: BGP is up, or gone for good. */
void links_word(struct links *l, uint32_t link, bool is_up);
/* Forgets all about it, clears it at bfdd. */
void links_forget(struct links *l, uint32_t link);
/* NULL when bfdd has said nothing yet. */
const struct bfdd_event *links_state(const struct links *l, uint32_t link);
bool links_is_up(const struct links *l, uint32_t link);
