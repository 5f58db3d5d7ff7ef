/* A world of speakers joined by wires in memory, with a clock of its own. Bytes arrive in pieces of
 * seeded sizes; nothing happens but in world_run(). */
#pragma once

#include "../test.h"
#include "base/buf.h"
#include "base/mem.h"
#include "bgp/message.h"
#include "bgp/query.h"
#include "bgp/speaker.h"

enum { W_NODES = 6, W_ENDS = 16, W_PIPES = 64 };

struct world;
struct node {
	struct world *w;
	struct bgp_speaker *s;
	struct mono due;
	unsigned n_changed, n_ready, n_warnings, n_asked, last_warning, n_peer_changes;
	bool refuse_vpn; /* accept_vpn says no */
	char last_why[256];
};

/* One side of a link: a peer of one node. */
struct end {
	struct node *n;
	struct bgp_peer *p;
	struct end *other;
	bool is_cut; /* dialling from or to here fails */
};

struct pipe {
	struct bgp_conn *c[2]; /* dialler, acceptor; NULL: closed by that side */
	struct end *e[2];
	struct buf last[2];      /* bytes written at closing */
	bool is_used, is_silent; /* silent: swallows everything */
};

struct world {
	struct mono now;
	uint64_t random;
	struct node node[W_NODES];
	struct end end[W_ENDS];
	struct pipe pipe[W_PIPES];
	struct bgp_conn *dials[W_PIPES];
	size_t n_ends, n_dials;
	uint64_t n_bytes;
};

void world_init(struct world *w, uint64_t seed);
void world_fini(struct world *w);
uint32_t world_random(struct world *w, uint32_t below);
/* Fills in hooks and, where zero, AS 12076, router id and fabric address 10.255.0.(n+1). */
struct bgp_speaker *world_speaker(struct world *w, unsigned n, struct bgp_speaker_config cfg);
/* Destroys the speaker; its transports close. */
void world_kill(struct world *w, unsigned n);
/* Two peers joined. Configs: owner is overwritten; local, remote filled in where unset. */
void world_join(struct world *w, unsigned a, struct bgp_peer_config ca, unsigned b,
		struct bgp_peer_config cb, struct bgp_peer **ret_a, struct bgp_peer **ret_b);
/* Gives a side of a link that was killed its new peer. */
struct bgp_peer *world_rejoin(struct world *w, struct end *e, unsigned n, struct bgp_peer_config c);
void world_run(struct world *w, int64_t ms);
/* Runs until cond(arg) holds; fails the test after ms. */
void world_until(struct world *w, bool (*cond)(void *), void *arg, int64_t ms);
/* Cuts the transports of the link: both sides hear of it, or (silently) neither. */
void world_cut(struct world *w, struct end *e, bool silently);
struct end *world_end(struct world *w, const struct bgp_peer *p);

bool is_up(void *peer);
enum bgp_state state_of(const struct bgp_peer *p);
struct prefix pfx(const char *text);
size_t count_received(const struct bgp_peer *p);
size_t count_advertised(const struct bgp_peer *p);
/* Paths of a prefix in a table. */
size_t lookup(struct bgp_table *t, const char *prefix, struct bgp_path paths[BGP_PATHS_MAX]);
/* A table with RD, one export RT of its number, key. node is 1..; number 0: no RD. */
struct bgp_table *make_table(struct bgp_speaker *s, unsigned node, unsigned number, bool exports);
struct bgp_import import_of(unsigned number);
