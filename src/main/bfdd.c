/* wayleave-bfdd: BFD for edges and hosts, alone in a process so that a customer's session lives
 * through the death of everything else here. It holds
 *   - the engine's sessions (bfd/session.h), each mirrored in a file that outlives us (bfdstate.h);
 *   - in custody, every descriptor of the keeper (supervise/keeper.h);
 *   - link_up, the one word by which the packet path leaves a dead link; nobody else writes it.
 *
 * One thread: epoll over the sockets, a timerfd for the earliest deadline of a heap. No capability
 * and few system calls are left when the first packet is read. */
#include "base/err.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "bfd/heap.h"
#include "bfd/session.h"
#include "datapath/maps.h"
#include "supervise/bfdd.h"
#include "supervise/bfdstate.h"
#include "supervise/channel.h"
#include "supervise/keeper.h"
#include "supervise/notify.h"
#include "supervise/privilege.h"
#include "supervise/sockets.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

enum {
	CLIENTS = 8,
	EVENTS = 64,
	BURST = 64, /* packets read from one socket in a row */
	DEFAULT_MULT = 3,
	DEFAULT_US = 300000,
	INTERVAL_MIN_US = 10000,
	INTERVAL_MAX_US = 60000000,
	DEFAULT_MIN_TTL = 250,
	TTL_ONE_HOP = 255, /* RFC 5881 5 */
	KEEPER_RETRY_MS = 50,
	SOCKETS_GRACE_MS = 1000, /* a restored session waits so long for its sockets */
	HANDOVER_MS = 5000,
	SEND_MS = 0,
	FILES = 1 << 17,
};

/* What one object of the keeper brought: the sockets of a domain or of an underlay address. */
struct sockets {
	struct keeper_custody record;
	int fd[KEEPER_FDS];
};

struct session {
	struct bfd_timer timer;
	struct bfdd_session cfg;
	struct bfd_session *engine;
	struct bfdstate_slot *slot;
	struct sockets *sockets; /* NULL while the keeper has not given any */
	bool was_up;             /* BFD was Up when last looked at */
	bool is_wanted;          /* named since BEGIN */
};

struct counters {
	uint64_t n_malformed, n_ttl, n_unmatched, n_send_failed;
};

struct client {
	int fd;
};

struct bfdd_state {
	const char *run, *user;
	uid_t client_uid; /* beside our own user and root; -1: nobody */
	int epoll, timer, signals, listener, keeper;
	struct mono keeper_retry;
	struct bfdstate *file;
	struct datapath_maps *maps; /* NULL until the keeper has sent them */
	struct bfd_heap heap;
	struct map sockets;  /* struct sockets_key → struct sockets */
	struct map by_link;  /* link → struct session */
	struct map by_discr; /* our discriminator → struct session */
	struct map by_peer;  /* struct peer_key → struct session */
	struct map by_fd;    /* receiving descriptor → struct sockets */
	struct client clients[CLIENTS];
	struct counters counters;
};

struct sockets_key {
	uint32_t domain;
	struct addr local; /* domain 0 only */
};

struct peer_key {
	struct sockets_key sockets;
	struct addr peer;
};

static struct sockets_key
key_for(uint32_t domain, const struct addr *local)
{
	struct sockets_key k;

	memset(&k, 0, sizeof(k));
	k.domain = domain;
	if (!domain)
		k.local = *local;
	return k;
}

static struct peer_key
peer_key_for(uint32_t domain, const struct addr *local, const struct addr *peer)
{
	struct peer_key k;

	memset(&k, 0, sizeof(k));
	k.sockets = key_for(domain, local);
	k.peer = *peer;
	return k;
}

static struct session *
find_link(const struct bfdd_state *b, uint32_t link)
{
	return map_get(&b->by_link, &link, sizeof(link));
}

static void
watch(struct bfdd_state *b, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(b->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
		log_error("epoll error=\"%s\"", strerror(errno));
}

/* Links */

static bool
link_is_up(const struct bfdd_state *b, uint32_t link)
{
	return b->maps && datapath_link_is_up(b->maps, link);
}

static void
link_set(struct bfdd_state *b, uint32_t link, bool is_up)
{
	if (!b->maps || datapath_link_is_up(b->maps, link) == is_up)
		return;
	if (datapath_link_set(b->maps, link, is_up) < 0)
		log_error("link is out of range link=%u", link);
}

static struct bfdd_event
describe(const struct bfdd_state *b, uint32_t link, const struct session *s)
{
	struct bfdd_event ev = { .link = link, .flags = link_is_up(b, link) ? BFDD_IS_UP : 0 };
	struct bfd_status st;

	if (!s)
		return ev;
	st = bfd_session_status(s->engine);
	ev.flags |= BFDD_HAS_SESSION |
		    (st.is_remote_control_independent ? BFDD_REMOTE_INDEPENDENT : 0);
	ev.state = (uint8_t)st.state;
	ev.remote_state = (uint8_t)st.remote_state;
	ev.diag = st.diag;
	ev.remote_diag = st.remote_diag;
	ev.local_discr = st.local_discr;
	ev.remote_discr = st.remote_discr;
	ev.tx_us = st.tx_us;
	ev.detect_us = st.detect_us;
	ev.n_up = st.n_up;
	ev.n_down = st.n_down;
	ev.n_rx = st.n_rx;
	ev.n_tx = st.n_tx;
	ev.n_discarded = st.n_discarded;
	ev.changed_us = st.changed.us;
	return ev;
}

static void
drop_client(struct client *c)
{
	close(c->fd);
	c->fd = -1;
}

static void
tell(struct client *c, const struct bfdd_event *ev)
{
	struct bfdd_msg m = { .version = BFDD_VERSION, .type = BFDD_EVENT, .event = *ev };

	/* Who does not read must not hold up BFD: it comes again and asks for everything. */
	if (channel_send(c->fd, &m, sizeof(m), NULL, 0, SEND_MS) < 0) {
		log_warn("client does not read its events");
		drop_client(c);
	}
}

static void
tell_all(struct bfdd_state *b, uint32_t link, const struct session *s)
{
	struct bfdd_event ev = describe(b, link, s);

	for (size_t i = 0; i < CLIENTS; i++)
		if (b->clients[i].fd >= 0)
			tell(&b->clients[i], &ev);
}

/* The rule of supervise/bfdd.h: Up decides; leaving Up counts as a client's word "down", except when
 * the peer said AdminDown; otherwise the client's word. */
static void
settle_link(struct bfdd_state *b, struct session *s)
{
	struct bfd_status st = bfd_session_status(s->engine);
	bool is_up = st.state == BFD_UP;

	if (s->was_up && !is_up && st.remote_state != BFD_ADMIN_DOWN)
		s->slot->is_link_up = 0;
	s->was_up = is_up;
	link_set(b, s->cfg.link, is_up || s->slot->is_link_up);
}

/* Sessions */

static void
transmit(struct bfdd_state *b, struct session *s)
{
	bool is_multihop = s->cfg.flags & BFDD_MULTIHOP;
	uint8_t packet[BFD_PACKET_SIZE];
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(
		&s->cfg.peer, is_multihop ? SOCKETS_BFD_MULTIHOP_PORT : SOCKETS_BFD_PORT, &sa);

	while (bfd_session_take(s->engine, packet))
		if (!s->sockets || sendto(s->sockets->fd[KEEPER_FD_BFD_TX], packet, sizeof(packet),
					  MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&sa,
					  len) != sizeof(packet))
			b->counters.n_send_failed++;
}

/* After anything happened to a session: send, save, tell, re-arm. */
static void
tend(struct bfdd_state *b, struct session *s, struct mono now)
{
	struct mono next = bfd_session_tick(s->engine, now);
	struct bfd_status st;

	transmit(b, s);
	if (bfd_session_changed(s->engine)) {
		char peer[ADDR_TEXT];

		st = bfd_session_status(s->engine);
		settle_link(b, s);
		tell_all(b, s->cfg.link, s);
		log_info("session link=%u peer=%s state=%s diag=\"%s\" remote=%s", s->cfg.link,
			 addr_format(&s->cfg.peer, peer), bfd_state_name(st.state),
			 bfd_diag_text(st.diag), bfd_state_name(st.remote_state));
	}
	bfdstate_save(s->slot, s->engine);
	bfd_heap_set(&b->heap, &s->timer, next);
}

static struct bfd_config
engine_config(const struct bfdd_session *c)
{
	return (struct bfd_config){
		.min_tx_us = c->min_tx_us,
		.min_rx_us = c->min_rx_us,
		.detect_mult = c->detect_mult,
		.is_admin_down = c->flags & BFDD_ADMIN_DOWN,
	};
}

static void
index_session(struct bfdd_state *b, struct session *s)
{
	struct peer_key peer = peer_key_for(s->cfg.domain, &s->cfg.local, &s->cfg.peer);
	uint32_t discr = bfd_session_status(s->engine).local_discr;

	map_put(&b->by_link, &s->cfg.link, sizeof(s->cfg.link), s);
	map_put(&b->by_discr, &discr, sizeof(discr), s);
	map_put(&b->by_peer, &peer, sizeof(peer), s);
	s->sockets = map_get(&b->sockets, &peer.sockets, sizeof(peer.sockets));
	if (s->sockets && s->sockets->fd[KEEPER_FD_BFD_TX] < 0)
		s->sockets = NULL;
}

static void
forget_session(struct bfdd_state *b, struct session *s)
{
	struct peer_key peer = peer_key_for(s->cfg.domain, &s->cfg.local, &s->cfg.peer);
	uint32_t discr = bfd_session_status(s->engine).local_discr;

	map_remove(&b->by_link, &s->cfg.link, sizeof(s->cfg.link));
	map_remove(&b->by_discr, &discr, sizeof(discr));
	if (map_get(&b->by_peer, &peer, sizeof(peer)) == s)
		map_remove(&b->by_peer, &peer, sizeof(peer));
	bfd_heap_set(&b->heap, &s->timer, MONO_NEVER);
	bfd_session_destroy(s->engine);
	free(s);
}

/* The peer hears AdminDown once; should that packet be lost it finds out by its own timer. */
static void
remove_session(struct bfdd_state *b, struct session *s, struct mono now)
{
	struct bfd_config cfg = engine_config(&s->cfg);
	uint32_t link = s->cfg.link;

	cfg.is_admin_down = true;
	bfd_session_configure(s->engine, &cfg, now);
	bfd_session_tick(s->engine, now);
	transmit(b, s);
	bfdstate_free(b->file, s->slot);
	forget_session(b, s);
	link_set(b, link, false);
	tell_all(b, link, NULL);
	log_info("session removed link=%u", link);
}

static uint32_t
new_discriminator(const struct bfdd_state *b)
{
	uint32_t d = 0;

	do {
		if (getrandom(&d, sizeof(d), 0) != sizeof(d))
			d = (uint32_t)mono_now().us;
	} while (d == 0 || map_get(&b->by_discr, &d, sizeof(d)));
	return d;
}

static struct session *
add_session(struct bfdd_state *b, const struct bfdd_session *c, struct mono now, struct err *e)
{
	struct bfd_config cfg = engine_config(c);
	struct bfdstate_slot *slot = bfdstate_alloc(b->file);
	struct session *s;

	if (!slot) {
		err_set(e, -ENOSPC, "no room for another session");
		return NULL;
	}
	cfg.local_discr = cfg.seed = new_discriminator(b);
	s = mem_alloc(sizeof(*s));
	s->cfg = slot->cfg = *c;
	s->slot = slot;
	s->engine = bfd_session_create(&cfg, now);
	slot->is_link_up = link_is_up(b, c->link); /* what the client said before there was BFD */
	index_session(b, s);
	log_info("session added link=%u domain=%u", c->link, c->domain);
	return s;
}

static int
check_session(struct bfdd_session *c, struct err *e)
{
	c->detect_mult = c->detect_mult ? c->detect_mult : DEFAULT_MULT;
	c->min_tx_us = c->min_tx_us ? c->min_tx_us : DEFAULT_US;
	c->min_rx_us = c->min_rx_us ? c->min_rx_us : DEFAULT_US;
	c->min_ttl = c->min_ttl ? c->min_ttl : DEFAULT_MIN_TTL;
	if (c->link == 0)
		return err_set(e, -EINVAL, "link 0 has no session");
	if (c->local.family != c->peer.family ||
	    (c->local.family != NET_V4 && c->local.family != NET_V6))
		return err_set(e, -EINVAL, "link %u: addresses", c->link);
	if (c->flags & ~(BFDD_MULTIHOP | BFDD_ADMIN_DOWN) ||
	    !(c->flags & BFDD_MULTIHOP) != (c->domain != 0))
		return err_set(e, -EINVAL, "link %u: flags %x in domain %u", c->link, c->flags,
			       c->domain);
	if (c->min_tx_us < INTERVAL_MIN_US || c->min_tx_us > INTERVAL_MAX_US ||
	    c->min_rx_us < INTERVAL_MIN_US || c->min_rx_us > INTERVAL_MAX_US)
		return err_set(e, -EINVAL, "link %u: intervals", c->link);
	return 0;
}

/* Adds or modifies; another address is another session. */
static int
set_session(struct bfdd_state *b, struct bfdd_session *c, struct mono now, struct err *e)
{
	struct session *s, *other;
	struct peer_key peer = peer_key_for(c->domain, &c->local, &c->peer);
	struct bfd_config cfg;
	int r = check_session(c, e);

	if (r < 0)
		return r;
	s = find_link(b, c->link);
	other = map_get(&b->by_peer, &peer, sizeof(peer));
	if (other && other != s) {
		if (other->is_wanted)
			return err_set(e, -EEXIST, "link %u has a session with this peer",
				       other->cfg.link);
		remove_session(b, other, now);
	}
	if (s && (s->cfg.domain != c->domain || !addr_equal(&s->cfg.local, &c->local) ||
		  !addr_equal(&s->cfg.peer, &c->peer))) {
		remove_session(b, s, now);
		s = NULL;
	}
	if (s) {
		s->cfg = s->slot->cfg = *c;
		cfg = engine_config(c);
		bfd_session_configure(s->engine, &cfg, now);
	} else {
		s = add_session(b, c, now, e);
		if (!s)
			return -ENOSPC;
	}
	s->is_wanted = true;
	tend(b, s, now);
	return 0;
}

static void
restore_sessions(struct bfdd_state *b, struct mono now)
{
	struct bfdstate_slot *slot;
	uint32_t it = 0, n = 0;

	while ((slot = bfdstate_next(b->file, &it))) {
		struct bfd_session *engine = bfd_session_restore(bfdstate_saved(slot), now);
		struct session *s;

		if (!engine || check_session(&slot->cfg, NULL) < 0 ||
		    find_link(b, slot->cfg.link)) {
			bfd_session_destroy(engine);
			bfdstate_free(b->file, slot);
			continue;
		}
		s = mem_alloc(sizeof(*s));
		s->cfg = slot->cfg;
		s->slot = slot;
		s->engine = engine;
		s->was_up = bfd_session_status(engine).state == BFD_UP;
		s->is_wanted = true;
		index_session(b, s);
		bfd_heap_set(&b->heap, &s->timer, mono_add_ms(now, SOCKETS_GRACE_MS));
		n++;
	}
	if (n)
		log_info("sessions resumed n=%u", n);
}

/* Clients */

static void
mark_all(struct bfdd_state *b)
{
	struct map_iter it = { 0 };

	while (map_next(&b->by_link, &it))
		((struct session *)it.value)->is_wanted = false;
}

static void
sweep(struct bfdd_state *b, struct mono now)
{
	for (;;) {
		struct map_iter it = { 0 };
		struct session *gone = NULL;

		while (!gone && map_next(&b->by_link, &it))
			if (!((struct session *)it.value)->is_wanted)
				gone = it.value;
		if (!gone)
			return;
		remove_session(b, gone, now);
	}
}

static void
set_word(struct bfdd_state *b, uint32_t link, bool is_up)
{
	struct session *s = find_link(b, link);
	bool was_up = link_is_up(b, link);

	if (s) {
		s->slot->is_link_up = is_up;
		settle_link(b, s);
	} else if (link) {
		link_set(b, link, is_up);
	}
	if (link_is_up(b, link) != was_up)
		tell_all(b, link, s);
}

static int
serve(struct bfdd_state *b, struct client *c, struct bfdd_msg *m, struct mono now, struct err *e)
{
	struct session *s = NULL;
	struct bfdd_event ev;
	int r = 0;

	if (m->version != BFDD_VERSION)
		return err_set(e, -EPROTO, "version %u", m->version);
	switch (m->type) {
	case BFDD_BEGIN:
		mark_all(b);
		break;
	case BFDD_END:
		sweep(b, now);
		break;
	case BFDD_SESSION:
		r = set_session(b, &m->session, now, e);
		if (r < 0) /* its mistake, not the protocol's */
			log_warn("session refused error=\"%s\"", e->text);
		s = find_link(b, m->session.link);
		ev = describe(b, m->session.link, s);
		tell(c, &ev);
		break;
	case BFDD_SESSION_REMOVE:
		s = find_link(b, m->link.link);
		if (s)
			remove_session(b, s, now);
		break;
	case BFDD_LINK:
		set_word(b, m->link.link, m->link.is_up);
		break;
	case BFDD_QUERY:
		ev = describe(b, m->link.link, find_link(b, m->link.link));
		tell(c, &ev);
		break;
	default:
		return err_set(e, -EPROTO, "message type %u", m->type);
	}
	return 0;
}

static void
read_client(struct bfdd_state *b, struct client *c)
{
	struct mono now = mono_now();

	while (c->fd >= 0) {
		int fds[CHANNEL_FDS_MAX];
		struct bfdd_msg m;
		struct err e = { 0 };
		size_t n_fds = 0;
		ssize_t n = channel_recv(c->fd, &m, sizeof(m), fds, &n_fds, 0);

		for (size_t i = 0; i < n_fds; i++)
			close(fds[i]);
		if (n == -EAGAIN)
			return;
		if (n != sizeof(m) || serve(b, c, &m, now, &e) < 0) {
			log_info("client gone %s", e.text);
			if (c->fd >= 0)
				drop_client(c);
		}
	}
}

static void
accept_clients(struct bfdd_state *b)
{
	struct ucred peer;
	struct err e = { 0 };
	int fd;

	while ((fd = channel_accept(b->listener, &b->client_uid, 1, &peer, &e)) >= 0) {
		struct client *c = b->clients;

		while (c < b->clients + CLIENTS && c->fd >= 0)
			c++;
		if (c == b->clients + CLIENTS) {
			close(fd);
			continue;
		}
		c->fd = fd;
		watch(b, fd);
	}
}

/* The keeper */

static void
close_sockets(struct sockets *s)
{
	for (int i = 0; i < KEEPER_FDS; i++)
		if (s->fd[i] >= 0)
			close(s->fd[i]);
}

/* Sessions find their sockets, or lose them (NULL). A domain has one peer; on an underlay address
 * there is one for each node. */
static void
rejoin(struct bfdd_state *b, const struct keeper_custody *record, struct sockets *sockets,
       struct mono now)
{
	const struct keeper_domain_info *i = &record->info;
	struct map_iter it = { 0 };

	if (i->number) {
		struct peer_key key = peer_key_for(i->number, &i->local, &i->peer);
		struct session *s = map_get(&b->by_peer, &key, sizeof(key));

		if (s)
			s->sockets = sockets;
		if (s && sockets)
			tend(b, s, now);
		return;
	}
	while (map_next(&b->by_link, &it)) {
		struct session *s = it.value;

		if (s->cfg.domain || !addr_equal(&s->cfg.local, &i->local))
			continue;
		s->sockets = sockets;
		if (sockets)
			tend(b, s, now);
	}
}

static void
lose_sockets(struct bfdd_state *b, struct sockets_key key, struct mono now)
{
	struct sockets *s = map_remove(&b->sockets, &key, sizeof(key));

	if (!s)
		return;
	rejoin(b, &s->record, NULL, now);
	if (s->fd[KEEPER_FD_BFD_RX] >= 0) {
		map_remove(&b->by_fd, &s->fd[KEEPER_FD_BFD_RX], sizeof(int));
		epoll_ctl(b->epoll, EPOLL_CTL_DEL, s->fd[KEEPER_FD_BFD_RX], NULL);
	}
	close_sockets(s);
	free(s);
}

static void
take_custody(struct bfdd_state *b, const struct keeper_custody *record, const int *fds,
	     struct mono now)
{
	struct sockets_key key = key_for(record->info.number, &record->info.local);
	struct sockets *s;
	size_t at = 0;

	lose_sockets(b, key, now);
	s = mem_alloc(sizeof(*s));
	s->record = *record;
	for (unsigned i = 0; i < KEEPER_FDS; i++)
		s->fd[i] = record->has & 1u << i ? fds[at++] : -1;
	map_put(&b->sockets, &key, sizeof(key), s);
	if (s->fd[KEEPER_FD_BFD_RX] < 0 || s->fd[KEEPER_FD_BFD_TX] < 0)
		return;
	map_put(&b->by_fd, &s->fd[KEEPER_FD_BFD_RX], sizeof(int), s);
	watch(b, s->fd[KEEPER_FD_BFD_RX]);
	rejoin(b, record, s, now);
}

static void
take_maps(struct bfdd_state *b, uint32_t has, const int *fds)
{
	struct datapath_fds set;
	struct datapath_maps *maps = NULL;
	struct map_iter it = { 0 };
	struct err e = { 0 };
	size_t at = 0;

	for (unsigned i = 0; i < DP_MAP_COUNT; i++)
		set.fd[i] = has & 1u << i ? fds[at++] : -1;
	if (datapath_maps_open(&set, &maps, &e) < 0) {
		log_error("maps error=\"%s\"", e.text);
		return;
	}
	if (!b->maps) /* now that words about links can be kept, clients may come */
		watch(b, b->listener);
	datapath_maps_destroy(b->maps);
	b->maps = maps;
	while (map_next(&b->by_link, &it))
		settle_link(b, it.value);
}

static void
keeper_lost(struct bfdd_state *b)
{
	close(b->keeper);
	b->keeper = -1;
	b->keeper_retry = mono_now();
	log_info("keeper gone, holding objects=%zu", b->sockets.n);
}

static void
read_keeper(struct bfdd_state *b)
{
	struct mono now = mono_now();

	for (;;) {
		int fds[CHANNEL_FDS_MAX];
		struct keeper_msg m;
		size_t n_fds = 0;
		ssize_t n = channel_recv(b->keeper, &m, sizeof(m), fds, &n_fds, 0);
		bool is_custody = m.type == KEEPER_CUSTODY;

		if (n == -EAGAIN)
			return;
		if (n != sizeof(m) || m.version != KEEPER_VERSION) {
			for (size_t i = 0; i < n_fds; i++)
				close(fds[i]);
			keeper_lost(b);
			return;
		}
		if (is_custody && m.custody.kind != KEEPER_CUSTODY_END &&
		    (size_t)__builtin_popcount(m.custody.has) == n_fds) {
			take_custody(b, &m.custody, fds, now);
			continue; /* the descriptors are in custody now */
		}
		if (m.type == KEEPER_CUSTODY_DROP)
			lose_sockets(b, key_for(m.custody.info.number, &m.custody.info.local), now);
		if (m.type == KEEPER_MAPS && (size_t)__builtin_popcount(m.maps) == n_fds)
			take_maps(b, m.maps, fds);
		for (size_t i = 0; i < n_fds; i++)
			close(fds[i]);
	}
}

static int
hand_over(struct bfdd_state *b, int fd)
{
	struct keeper_msg m = { .version = KEEPER_VERSION,
				.type = KEEPER_HELLO,
				.role = KEEPER_ROLE_BFDD };
	struct map_iter it = { 0 };
	int r = channel_send(fd, &m, sizeof(m), NULL, 0, HANDOVER_MS);

	m.type = KEEPER_CUSTODY;
	while (r == 0 && map_next(&b->sockets, &it)) {
		const struct sockets *s = it.value;
		int fds[KEEPER_FDS];
		size_t n = 0;

		memset(&m.custody, 0, sizeof(m.custody));
		m.custody = s->record;
		for (int i = 0; i < KEEPER_FDS; i++)
			if (s->fd[i] >= 0)
				fds[n++] = s->fd[i];
		r = channel_send(fd, &m, sizeof(m), fds, n, HANDOVER_MS);
	}
	if (r < 0)
		return r;
	memset(&m.custody, 0, sizeof(m.custody));
	m.custody.kind = KEEPER_CUSTODY_END;
	return channel_send(fd, &m, sizeof(m), NULL, 0, HANDOVER_MS);
}

static void
reach_keeper(struct bfdd_state *b, struct mono now)
{
	AUTO_FREE char *path = mem_printf("%s/%s", b->run, KEEPER_SOCKET);
	int r, fd = channel_connect(path, NULL);

	b->keeper_retry = mono_add_ms(now, KEEPER_RETRY_MS);
	if (fd < 0)
		return;
	r = hand_over(b, fd);
	if (r < 0) {
		log_warn("hand-over to the keeper error=\"%s\"", strerror(-r));
		close(fd);
		return;
	}
	b->keeper = fd;
	watch(b, fd);
	log_info("keeper reached, handed over objects=%zu", b->sockets.n);
}

/* Packets */

struct arrival {
	uint8_t bytes[256];
	size_t n;
	struct addr from;
	int ttl; /* -1: not told */
};

static int
ttl_of(struct msghdr *mh)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		int v;

		if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) ||
		    (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT)) {
			memcpy(&v, CMSG_DATA(c), sizeof(v));
			return v;
		}
	}
	return -1;
}

static int
receive(int fd, struct arrival *ret)
{
	union {
		struct cmsghdr align;
		char b[CMSG_SPACE(sizeof(int))];
	} control;
	struct sockaddr_storage sa;
	struct iovec iov = { .iov_base = ret->bytes, .iov_len = sizeof(ret->bytes) };
	struct msghdr mh = { .msg_name = &sa,
			     .msg_namelen = sizeof(sa),
			     .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &mh, MSG_DONTWAIT);

	if (n < 0)
		return -errno;
	ret->n = (size_t)n;
	ret->from = addr_from_sockaddr((struct sockaddr *)&sa, NULL);
	ret->ttl = ttl_of(&mh);
	return 0;
}

/* RFC 5880 6.8.6, RFC 5881 3: by our discriminator, before the peer knows it by addresses. A
 * discriminator counts only on the sockets of its own domain and from its own peer. */
static struct session *
demultiplex(const struct bfdd_state *b, const struct sockets *on, const struct bfd_packet *p,
	    const struct addr *from)
{
	struct peer_key key = peer_key_for(on->record.info.number, &on->record.info.local, from);
	struct session *s = map_get(&b->by_peer, &key, sizeof(key));

	if (p->your_discr && s && s != map_get(&b->by_discr, &p->your_discr, sizeof(uint32_t)))
		return NULL;
	return s;
}

static void
packet(struct bfdd_state *b, const struct sockets *on, const struct arrival *a, struct mono now)
{
	struct bfd_packet p;
	struct session *s;

	if (bfd_packet_parse(cur_make(a->bytes, a->n), &p, NULL) < 0) {
		b->counters.n_malformed++;
		return;
	}
	s = demultiplex(b, on, &p, &a->from);
	if (!s) {
		b->counters.n_unmatched++;
		return;
	}
	if (a->ttl < (s->cfg.flags & BFDD_MULTIHOP ? s->cfg.min_ttl : TTL_ONE_HOP)) {
		b->counters.n_ttl++;
		return;
	}
	if (bfd_session_input(s->engine, &p, now, NULL) == 0)
		tend(b, s, now);
}

static void
read_packets(struct bfdd_state *b, int fd)
{
	const struct sockets *on = map_get(&b->by_fd, &fd, sizeof(fd));
	struct mono now = mono_now();
	struct arrival a;

	for (int i = 0; on && i < BURST; i++) {
		if (receive(fd, &a) < 0)
			return;
		packet(b, on, &a, now);
	}
}

/* The loop */

static void
expire(struct bfdd_state *b, struct mono now)
{
	struct bfd_timer *t;

	while ((t = bfd_heap_first(&b->heap)) && mono_is_due(t->at, now))
		tend(b, CONTAINER_OF(t, struct session, timer), now);
	if (b->keeper < 0 && mono_is_due(b->keeper_retry, now))
		reach_keeper(b, now);
}

static void
arm(struct bfdd_state *b)
{
	const struct bfd_timer *t = bfd_heap_first(&b->heap);
	struct mono at =
		mono_min(t ? t->at : MONO_NEVER, b->keeper < 0 ? b->keeper_retry : MONO_NEVER);
	struct itimerspec its = { 0 };

	if (at.us != MONO_NEVER.us) {
		its.it_value.tv_sec = at.us / 1000000;
		its.it_value.tv_nsec = at.us % 1000000 * 1000 + 1; /* never all zero */
	}
	timerfd_settime(b->timer, TFD_TIMER_ABSTIME, &its, NULL);
}

/* False: time to end. */
static bool
dispatch(struct bfdd_state *b, int fd)
{
	uint64_t ticks;

	if (fd == b->signals)
		return false;
	if (fd == b->timer) {
		(void)!read(b->timer, &ticks, sizeof(ticks));
		return true;
	}
	if (fd == b->listener) {
		accept_clients(b);
		return true;
	}
	if (fd == b->keeper) {
		read_keeper(b);
		return true;
	}
	for (size_t i = 0; i < CLIENTS; i++)
		if (b->clients[i].fd == fd) {
			read_client(b, &b->clients[i]);
			return true;
		}
	read_packets(b, fd);
	return true;
}

static bool
step(struct bfdd_state *b)
{
	struct epoll_event ev[EVENTS];
	int n;

	arm(b);
	n = epoll_wait(b->epoll, ev, EVENTS, -1);
	/* What has arrived counts before what has run out: a late wake-up is not the peer's fault. */
	for (int i = 0; i < n; i++)
		if (!dispatch(b, ev[i].data.fd))
			return false;
	expire(b, mono_now());
	return true;
}

static int
start(struct bfdd_state *b, struct err *e)
{
	AUTO_FREE char *path = mem_printf("%s/%s", b->run, BFDD_SOCKET);
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	privilege_raise_files(FILES);
	(void)setpriority(PRIO_PROCESS, 0, -20); /* timers before routes, where allowed */
	b->epoll = epoll_create1(EPOLL_CLOEXEC);
	b->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	b->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (b->epoll < 0 || b->timer < 0 || b->signals < 0)
		return err_errno(e, "epoll, timerfd, signalfd");
	watch(b, b->timer);
	watch(b, b->signals);
	r = privilege_become(b->user, e);
	if (r == 0)
		r = bfdstate_open(b->run, &b->file, e);
	if (r == 0)
		r = b->listener = channel_listen(path, b->client_uid != (uid_t)-1, e);
	if (r >= 0)
		r = privilege_drop(PRIVILEGE_BFDD, e);
	return r < 0 ? r : 0;
}

static void
finish(struct bfdd_state *b)
{
	struct map_iter it = { 0 };

	while (map_next(&b->by_link, &it)) {
		struct session *s = it.value;

		bfd_session_destroy(s->engine);
		free(s);
	}
	it = (struct map_iter){ 0 };
	while (map_next(&b->sockets, &it)) {
		close_sockets(it.value);
		free(it.value);
	}
	map_fini(&b->by_link);
	map_fini(&b->by_discr);
	map_fini(&b->by_peer);
	map_fini(&b->by_fd);
	map_fini(&b->sockets);
	bfd_heap_fini(&b->heap);
	datapath_maps_destroy(b->maps);
	bfdstate_destroy(b->file);
}

static const char usage[] =
	"usage: wayleave-bfdd --run DIR [--user USER] [--client USER] [--check]\n"
	"  --run DIR      runtime directory of the node (keeper.sock is there)\n"
	"  --user USER    become this user first: a name, UID or UID:GID. DIR must let it write\n"
	"  --client USER  who edged or hostd is, when not our own user\n"
	"  --check        say whether the directory can be used, and end\n";

static int
options(int argc, char **argv, struct bfdd_state *b, bool *ret_check, struct err *e)
{
	static const struct option longs[] = { { "run", 1, NULL, 'r' },
					       { "user", 1, NULL, 'u' },
					       { "client", 1, NULL, 'l' },
					       { "check", 0, NULL, 'c' },
					       { NULL, 0, NULL, 0 } };
	struct privilege_user client;
	int c, r = 0;

	while (r == 0 && (c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'r')
			b->run = optarg;
		else if (c == 'u')
			b->user = optarg;
		else if (c == 'l' && (r = privilege_user_parse(optarg, &client, e)) == 0)
			b->client_uid = client.uid;
		*ret_check |= c == 'c';
		if (c == '?')
			r = err_set(e, -EINVAL, "%s", usage);
	}
	if (r == 0 && (!b->run || optind != argc))
		r = err_set(e, -EINVAL, "%s", usage);
	return r;
}

int
main(int argc, char **argv)
{
	struct bfdd_state b = { .client_uid = (uid_t)-1,
				.epoll = -1,
				.timer = -1,
				.signals = -1,
				.listener = -1,
				.keeper = -1 };
	bool is_check = false;
	struct err e = { 0 };

	log_init("bfdd", LOG_INFO);
	if (options(argc, argv, &b, &is_check, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return 2;
	}
	assert(b.run); /* options() has seen to it */
	if (is_check)
		return access(b.run, W_OK) < 0 ? (perror(b.run), 1) : (puts("ok"), 0);
	for (size_t i = 0; i < CLIENTS; i++)
		b.clients[i].fd = -1;
	if (start(&b, &e) < 0) {
		log_error("cannot start error=\"%s\"", e.text);
		return 1;
	}
	restore_sessions(&b, mono_now());
	b.keeper_retry = mono_now();
	notify("READY=1");
	log_info("ready run=%s", b.run);
	while (step(&b))
		;
	log_info("end malformed=%" PRIu64 " ttl=%" PRIu64 " unmatched=%" PRIu64
		 " send_failed=%" PRIu64,
		 b.counters.n_malformed, b.counters.n_ttl, b.counters.n_unmatched,
		 b.counters.n_send_failed);
	finish(&b);
	return 0;
}
