/* Routes between engines: customer to edge, edge to edge and host, imports, reflection, limits,
 * graceful restart in both roles. */
#include "wire.h"

enum { CE1, EDGE_A, EDGE_B, HOST, CE2 };

/* A pair of edges with one domain (number 100) and a VNet (200) on a host, a CE at each edge. */
struct cloud {
	struct world w;
	struct bgp_table *t[5]; /* CE1, A's and B's domain, host's VNet, CE2 */
	struct bgp_table *vnet_a, *vnet_b;
	struct bgp_peer *ce1, *a_ce1, *ce2, *b_ce2, *a_b, *b_a, *a_host, *host_a, *b_host, *host_b;
};

static struct bgp_peer_config
customer(struct bgp_table *t, uint32_t remote_as)
{
	return (struct bgp_peer_config){ .name = "customer",
					 .table = t,
					 .remote_as = { remote_as } };
}

static struct bgp_peer_config
fabric(unsigned from, unsigned to)
{
	return (struct bgp_peer_config){ .name = "fabric",
					 .remote_as = { 12076 },
					 .local = addr_v4(0x0aff0001 + from),
					 .remote = addr_v4(0x0aff0001 + to) };
}

static void
originate(struct bgp_table *t, const char *prefix, unsigned scope)
{
	struct prefix p = pfx(prefix);

	bgp_table_originate(t, &p, scope);
}

static void
cloud_edges(struct cloud *x, bool restarting_a)
{
	struct bgp_import domain[] = { import_of(100), import_of(200) };
	struct bgp_import vnet[] = { import_of(200) };

	if (!x->w.node[EDGE_A].s) {
		world_speaker(&x->w, EDGE_A,
			      (struct bgp_speaker_config){ .is_restarting = restarting_a });
		x->t[EDGE_A] = make_table(x->w.node[EDGE_A].s, 1, 100, true);
		bgp_table_set_imports(x->t[EDGE_A], domain, 1);
		x->vnet_a = make_table(x->w.node[EDGE_A].s, 1, 200, false);
		bgp_table_set_imports(x->vnet_a, vnet, 1);
		originate(x->t[EDGE_A], "10.20.0.0/16", BGP_TO_CUSTOMERS);
	}
	if (!x->w.node[EDGE_B].s) {
		world_speaker(&x->w, EDGE_B, (struct bgp_speaker_config){ 0 });
		x->t[EDGE_B] = make_table(x->w.node[EDGE_B].s, 2, 100, true);
		bgp_table_set_imports(x->t[EDGE_B], domain, 1);
		x->vnet_b = make_table(x->w.node[EDGE_B].s, 2, 200, false);
		bgp_table_set_imports(x->vnet_b, vnet, 1);
		originate(x->t[EDGE_B], "10.20.0.0/16", BGP_TO_CUSTOMERS);
	}
}

static void
cloud_make(struct cloud *x)
{
	struct bgp_import domain = import_of(100);
	struct bgp_table_config c;
	struct bgp_peer *all[10];

	memset(x, 0, sizeof(*x));
	world_init(&x->w, 7);
	world_speaker(&x->w, CE1, (struct bgp_speaker_config){ .as = { 4200000001 } });
	world_speaker(&x->w, CE2, (struct bgp_speaker_config){ .as = { 4200000001 } });
	cloud_edges(x, false);
	world_speaker(&x->w, HOST, (struct bgp_speaker_config){ 0 });
	x->t[CE1] = make_table(x->w.node[CE1].s, 1, 1, false);
	x->t[CE2] = make_table(x->w.node[CE2].s, 1, 1, false);
	c = (struct bgp_table_config){ .name = "vnet",
				       .rd = rd_make(12076, 9, (struct fabric_number){ 200 }),
				       .key = fabric_key_make((struct fabric_number){ 200 }, 1),
				       .exports = { rt_make(12076, (struct fabric_number){ 200 }) },
				       .n_exports = 1,
				       .multipath = 4 };
	x->t[HOST] = bgp_table_create(x->w.node[HOST].s, &c);
	bgp_table_set_imports(x->t[HOST], &domain, 1);

	world_join(&x->w, CE1, customer(x->t[CE1], 12076), EDGE_A,
		   customer(x->t[EDGE_A], 4200000001), &x->ce1, &x->a_ce1);
	world_join(&x->w, CE2, customer(x->t[CE2], 12076), EDGE_B,
		   customer(x->t[EDGE_B], 4200000001), &x->ce2, &x->b_ce2);
	world_join(&x->w, EDGE_A, fabric(EDGE_A, EDGE_B), EDGE_B, fabric(EDGE_B, EDGE_A), &x->a_b,
		   &x->b_a);
	world_join(&x->w, EDGE_A, fabric(EDGE_A, HOST), HOST, fabric(HOST, EDGE_A), &x->a_host,
		   &x->host_a);
	world_join(&x->w, EDGE_B, fabric(EDGE_B, HOST), HOST, fabric(HOST, EDGE_B), &x->b_host,
		   &x->host_b);
	memcpy(all,
	       (struct bgp_peer *[]){ x->ce1, x->a_ce1, x->ce2, x->b_ce2, x->a_b, x->b_a, x->a_host,
				      x->host_a, x->b_host, x->host_b },
	       sizeof(all));
	for (size_t i = 0; i < COUNT(all); i++)
		world_until(&x->w, is_up, all[i], 3000);
	world_run(&x->w, 100);
}

/* The customer's LAN at both edges, a NIC on the host; who knows what, and what is said to whom. */
static void
test_story(void **state)
{
	struct cloud x;
	struct bgp_path p[BGP_PATHS_MAX];
	char text[128];

	cloud_make(&x);
	originate(x.t[CE1], "10.1.0.0/16", BGP_TO_CUSTOMERS);
	originate(x.t[CE2], "10.1.0.0/16", BGP_TO_CUSTOMERS);
	originate(x.t[HOST], "10.20.0.4/32", BGP_TO_FABRIC);
	world_run(&x.w, 100);

	/* edge A: its customer first, then B's path with the domain's key as a backup */
	assert_int_equal(lookup(x.t[EDGE_A], "10.1.0.0/16", p), 2);
	assert_true(p[0].is_external && !p[0].is_imported && p[0].peer == x.a_ce1);
	assert_int_equal(addr_u32(&p[0].next_hop), 0xc0a80001);
	assert_string_equal(bgp_path_format(p[0].attr, text, sizeof(text)), "4200000001");
	assert_true(p[1].is_imported && !p[1].is_external && !p[1].is_multipath);
	assert_int_equal(addr_u32(&p[1].next_hop), 0x0aff0001 + EDGE_B);
	assert_int_equal(p[1].key.v, fabric_key_make((struct fabric_number){ 100 }, 1).v);
	assert_int_equal(p[1].rd.v, rd_make(12076, 2, (struct fabric_number){ 100 }).v);

	/* the host: both edges share the load */
	assert_int_equal(lookup(x.t[HOST], "10.1.0.0/16", p), 2);
	assert_true(p[0].is_multipath && p[1].is_multipath);
	assert_int_equal(p[0].attr->local_pref, 100);

	/* the edges' VNet tables know the NIC; the domain does not; customers never hear of it */
	assert_int_equal(lookup(x.vnet_a, "10.20.0.4/32", p), 1);
	assert_int_equal(addr_u32(&p[0].next_hop), 0x0aff0001 + HOST);
	assert_int_equal(lookup(x.t[EDGE_A], "10.20.0.4/32", p), 0);
	assert_int_equal(lookup(x.t[CE1], "10.20.0.4/32", p), 0);
	assert_int_equal(count_advertised(x.a_ce1), 1);

	/* the customer: the VNet's space, path = 12076 alone, next hop self, nothing of his own back */
	assert_int_equal(count_received(x.ce1), 1);
	assert_int_equal(lookup(x.t[CE1], "10.20.0.0/16", p), 1);
	assert_string_equal(bgp_path_format(p[0].attr, text, sizeof(text)), "12076");
	assert_int_equal(addr_u32(&p[0].next_hop), 0xc0a80002);
	assert_false(p[0].attr->has & (BGP_HAS_MED | BGP_HAS_LOCAL_PREF));
	world_fini(&x.w);
}

static void
test_withdraw_and_best_external(void **state)
{
	struct cloud x;
	struct bgp_path p[BGP_PATHS_MAX];
	struct prefix lan = pfx("10.1.0.0/16");
	struct bgp_table_config c = { .local_pref = 200, .n_exports = 1 };

	cloud_make(&x);
	originate(x.t[CE1], "10.1.0.0/16", BGP_TO_CUSTOMERS);
	originate(x.t[CE2], "10.1.0.0/16", BGP_TO_CUSTOMERS);
	/* B says its paths are preferred: A's best is B's, and still A tells its own external one */
	c.exports[0] = rt_make(12076, (struct fabric_number){ 100 });
	c.key = fabric_key_make((struct fabric_number){ 100 }, 2);
	bgp_table_set_exports(x.t[EDGE_B], &c);
	world_run(&x.w, 100);
	assert_int_equal(lookup(x.t[EDGE_A], "10.1.0.0/16", p), 2);
	assert_true(p[0].is_imported);
	assert_int_equal(p[0].key.v, c.key.v); /* the new key arrived */
	assert_int_equal(p[0].attr->local_pref, 200);
	assert_int_equal(lookup(x.t[EDGE_B], "10.1.0.0/16", p), 2);
	assert_true(p[0].is_external && p[1].is_imported);
	assert_int_equal(lookup(x.t[HOST], "10.1.0.0/16", p), 2);
	assert_false(p[1].is_multipath);

	bgp_table_withdraw(x.t[CE2], &lan);
	world_run(&x.w, 100);
	assert_int_equal(lookup(x.t[EDGE_B], "10.1.0.0/16", p), 1);
	assert_true(p[0].is_imported);
	assert_int_equal(lookup(x.t[HOST], "10.1.0.0/16", p), 1);
	assert_int_equal(addr_u32(&p[0].next_hop), 0x0aff0001 + EDGE_A);
	bgp_peer_stop(x.a_ce1, NULL, x.w.now);
	world_run(&x.w, 100);
	assert_int_equal(lookup(x.t[HOST], "10.1.0.0/16", p), 0);
	assert_int_equal(lookup(x.t[EDGE_B], "10.1.0.0/16", p), 0);
	assert_int_equal(count_received(x.host_a), 0);
	world_fini(&x.w);
}

/* Imports change while routes are there; Global Reach reaches the other customer, no further. */
static void
test_imports(void **state)
{
	struct cloud x;
	struct bgp_path p[BGP_PATHS_MAX];
	struct bgp_import reach[] = { import_of(100), import_of(300) };
	struct bgp_table *other, *ce;
	struct bgp_peer *to_ce, *from_edge;

	cloud_make(&x);
	originate(x.t[CE1], "10.1.0.0/16", BGP_TO_CUSTOMERS);
	originate(x.t[HOST], "10.20.0.4/32", BGP_TO_FABRIC);
	world_run(&x.w, 100);
	bgp_table_set_imports(x.t[HOST], NULL, 0);
	bgp_table_set_imports(x.vnet_a, NULL, 0);
	world_run(&x.w, 10);
	assert_int_equal(lookup(x.t[HOST], "10.1.0.0/16", p), 0);
	assert_int_equal(lookup(x.vnet_a, "10.20.0.4/32", p), 0);
	assert_int_equal(count_received(x.host_a), 1); /* kept, not imported */
	bgp_table_set_imports(x.t[HOST], reach, 1);
	world_run(&x.w, 10);
	assert_int_equal(lookup(x.t[HOST], "10.1.0.0/16", p), 1);

	/* a second domain at B with a customer of its own imports the first, for its customers too */
	other = make_table(x.w.node[EDGE_B].s, 2, 300, true);
	reach[0].to_customers = true;
	bgp_table_set_imports(other, reach, 1);
	world_speaker(&x.w, 5, (struct bgp_speaker_config){ .as = { 65020 } });
	ce = make_table(x.w.node[5].s, 1, 1, false);
	world_join(&x.w, 5, customer(ce, 12076), EDGE_B, customer(other, 65020), &from_edge,
		   &to_ce);
	world_until(&x.w, is_up, to_ce, 3000);
	world_run(&x.w, 10);
	assert_int_equal(lookup(ce, "10.1.0.0/16", p), 1);
	reach[0].to_customers = false;
	bgp_table_set_imports(other, reach, 1);
	world_run(&x.w, 10);
	assert_int_equal(lookup(ce, "10.1.0.0/16", p), 0);
	assert_int_equal(lookup(other, "10.1.0.0/16", p), 1);
	/* imported routes are never exported again: A has 300's RT nowhere */
	reach[1] = import_of(300);
	bgp_table_set_imports(x.vnet_a, &reach[1], 1);
	world_run(&x.w, 10);
	assert_int_equal(lookup(x.vnet_a, "10.1.0.0/16", p), 0);
	/* a table that goes takes its exports along */
	originate(ce, "10.9.0.0/16", BGP_TO_CUSTOMERS);
	world_run(&x.w, 10);
	assert_int_equal(lookup(x.vnet_a, "10.9.0.0/16", p), 1);
	world_end(&x.w, to_ce)->p = NULL;
	bgp_peer_destroy(to_ce, x.w.now);
	bgp_table_destroy(other);
	x.w.node[EDGE_B].due = x.w.now;
	world_run(&x.w, 10);
	assert_int_equal(lookup(x.vnet_a, "10.9.0.0/16", p), 0);
	world_fini(&x.w);
}

static void
test_trust(void **state)
{
	struct cloud x;
	struct bgp_path p[BGP_PATHS_MAX];
	struct bgp_walk walk = { 0 };
	struct prefix prefix;
	struct rd rd;
	struct bgp_peer_info info;

	cloud_make(&x);
	x.w.node[EDGE_A].refuse_vpn = true;
	originate(x.t[HOST], "10.20.0.4/32", BGP_TO_FABRIC);
	world_run(&x.w, 10);
	assert_int_equal(lookup(x.vnet_a, "10.20.0.4/32", p), 0);
	assert_int_equal(lookup(x.vnet_b, "10.20.0.4/32", p), 1);
	assert_true(bgp_received_next(x.a_host, &walk, &rd, &prefix, &p[0]));
	assert_int_equal(p[0].reason, BGP_REASON_NOT_PLACED);
	bgp_peer_info(x.a_host, &info);
	assert_int_equal(info.n_rejected, 1);
	assert_int_equal(info.rejected[BGP_REASON_NOT_PLACED], 1);
	x.w.node[EDGE_A].refuse_vpn = false;
	bgp_peer_recheck(x.a_host);
	x.w.node[EDGE_A].due = x.w.now;
	world_run(&x.w, 10);
	assert_int_equal(lookup(x.vnet_a, "10.20.0.4/32", p), 1);
	world_fini(&x.w);
}

/* A hub that reflects between two leaves and a plain iBGP peer (RFC 4456 6). */
static void
test_reflector(void **state)
{
	struct world w;
	struct bgp_table *t[4];
	struct bgp_peer *hub[4], *leaf[4];
	struct bgp_path p[BGP_PATHS_MAX];
	struct bgp_peer_info info;

	world_init(&w, 3);
	for (unsigned i = 0; i < 4; i++) {
		struct bgp_import imports[3];

		world_speaker(&w, i, (struct bgp_speaker_config){ 0 });
		t[i] = make_table(w.node[i].s, i + 1, 50 + i, i != 0);
		for (unsigned k = 0; k < 3; k++)
			imports[k] = import_of(50 + k + (k >= i));
		bgp_table_set_imports(t[i], imports, 3);
	}
	for (unsigned i = 1; i < 4; i++) {
		struct bgp_peer_config c = fabric(0, i);

		c.is_client = i < 3; /* 1 and 2 are clients, 3 is not */
		world_join(&w, 0, c, i, fabric(i, 0), &hub[i], &leaf[i]);
		world_until(&w, is_up, hub[i], 3000);
	}
	originate(t[1], "10.1.1.1/32", BGP_TO_FABRIC);
	originate(t[2], "10.1.1.2/32", BGP_TO_FABRIC);
	originate(t[3], "10.1.1.3/32", BGP_TO_FABRIC);
	world_run(&w, 50);
	assert_int_equal(lookup(t[2], "10.1.1.1/32", p), 1);
	assert_int_equal(addr_u32(&p[0].next_hop), 0x0aff0002); /* unchanged */
	assert_int_equal(p[0].attr->originator, 0x0aff0002);
	assert_int_equal(p[0].attr->n_clusters, 1);
	assert_int_equal(p[0].key.v, fabric_key_make((struct fabric_number){ 51 }, 1).v);
	assert_int_equal(lookup(t[3], "10.1.1.1/32", p), 1); /* client to non-client */
	assert_int_equal(lookup(t[1], "10.1.1.3/32", p), 1); /* non-client to client */
	assert_int_equal(count_received(leaf[1]), 2);        /* not its own back */
	bgp_peer_info(leaf[1], &info);
	assert_int_equal(info.n_rejected, 0);
	{
		struct prefix gone = pfx("10.1.1.1/32");

		bgp_table_withdraw(t[1], &gone);
	}
	world_run(&w, 50);
	assert_int_equal(lookup(t[2], "10.1.1.1/32", p), 0);
	assert_int_equal(lookup(t[3], "10.1.1.1/32", p), 0);
	assert_int_equal(lookup(t[0], "10.1.1.1/32", p), 0);
	world_fini(&w);
}

/* ---- limits ---- */

static void
many(struct bgp_table *t, unsigned from, unsigned to, unsigned scope)
{
	for (unsigned i = from; i < to; i++) {
		struct prefix p = { addr_v4(0x0b000000 + i * 256), 24 };

		bgp_table_originate(t, &p, scope);
	}
}

static void
test_max_prefix(void **state)
{
	struct cloud x;
	struct bgp_peer_info info;

	cloud_make(&x);
	bgp_peer_set_limit(x.a_ce1, 100, x.w.now);
	many(x.t[CE1], 0, 79, BGP_TO_CUSTOMERS);
	world_run(&x.w, 10);
	assert_int_equal(x.w.node[EDGE_A].n_warnings, 0);
	many(x.t[CE1], 79, 80, BGP_TO_CUSTOMERS);
	world_run(&x.w, 10);
	assert_int_equal(x.w.node[EDGE_A].last_warning, 80);
	many(x.t[CE1], 80, 100, BGP_TO_CUSTOMERS);
	world_run(&x.w, 10);
	assert_int_equal(x.w.node[EDGE_A].last_warning, 90);
	assert_true(is_up(x.a_ce1));
	assert_int_equal(bgp_table_count(x.t[EDGE_B]), 100);
	many(x.t[CE1], 100, 101, BGP_TO_CUSTOMERS);
	world_run(&x.w, 10);
	assert_false(is_up(x.a_ce1));
	assert_true(is_up(x.a_b)); /* nobody else notices */
	bgp_peer_info(x.a_ce1, &info);
	assert_int_equal(info.last_code, 6);
	assert_int_equal(info.last_subcode, BGP_CEASE_MAX_PREFIX);
	assert_int_equal(info.n_prefixes, 0);
	assert_int_equal(bgp_table_count(x.t[EDGE_B]), 0);
	world_run(&x.w, 120000); /* comes, goes, ever slower */
	bgp_peer_info(x.a_ce1, &info);
	assert_in_range(info.n_established, 2, 12);
	many(x.t[CE1], 50, 101, 0);
	world_until(&x.w, is_up, x.a_ce1, 130000);
	world_run(&x.w, 100);
	assert_int_equal(bgp_table_count(x.t[EDGE_B]), 50);
	world_run(&x.w, 100000);
	assert_true(is_up(x.a_ce1));
	world_fini(&x.w);
}

/* ---- policy ---- */

static void
test_policy(void **state)
{
	static const struct {
		const char *prefix;
		enum bgp_reason reason;
	} cases[] = {
		{ "0.0.0.0/0", BGP_REASON_NONE },
		{ "0.0.0.0/1", BGP_REASON_NONE },
		{ "10.0.0.0/8", BGP_REASON_NONE },
		{ "10.1.2.3/32", BGP_REASON_NONE },
		{ "0.1.0.0/16", BGP_REASON_MARTIAN },
		{ "0.0.0.0/8", BGP_REASON_MARTIAN },
		{ "127.0.0.1/32", BGP_REASON_MARTIAN },
		{ "224.0.0.0/4", BGP_REASON_MARTIAN },
		{ "239.1.1.0/24", BGP_REASON_MARTIAN },
		{ "240.0.0.0/4", BGP_REASON_MARTIAN },
		{ "255.255.255.255/32", BGP_REASON_MARTIAN },
		{ "192.168.0.0/30", BGP_REASON_LINK_SUBNET },
		{ "192.168.0.1/32", BGP_REASON_LINK_SUBNET },
		{ "192.168.0.0/29", BGP_REASON_NONE },
	};
	struct world w;
	struct bgp_table *tc, *te;
	struct bgp_peer *ce, *edge;
	struct bgp_peer_config c;
	struct bgp_walk walk = { 0 };
	struct prefix prefix;
	struct bgp_path path;
	struct rd rd;
	size_t n = 0;

	world_init(&w, 1);
	world_speaker(&w, 0, (struct bgp_speaker_config){ .as = { 65010 } });
	world_speaker(&w, 1, (struct bgp_speaker_config){ 0 });
	tc = make_table(w.node[0].s, 1, 1, false);
	te = make_table(w.node[1].s, 1, 1, true);
	c = customer(te, 65010);
	c.link = pfx("192.168.0.0/30");
	world_join(&w, 0, customer(tc, 12076), 1, c, &ce, &edge);
	for (size_t i = 0; i < COUNT(cases); i++)
		originate(tc, cases[i].prefix, BGP_TO_CUSTOMERS);
	world_until(&w, is_up, edge, 2000);
	world_run(&w, 10);
	while (bgp_received_next(edge, &walk, &rd, &prefix, &path)) {
		size_t i = 0;

		n++;
		for (struct prefix p; i < COUNT(cases); i++) {
			p = pfx(cases[i].prefix);
			if (prefix_equal(&p, &prefix))
				break;
		}
		assert_true(i < COUNT(cases));
		assert_int_equal(path.reason, cases[i].reason);
	}
	assert_int_equal(n, COUNT(cases));
	assert_int_equal(bgp_table_count(te), 5);
	world_fini(&w);
}

/* ---- refresh and restart ---- */

static void
test_refresh(void **state)
{
	struct cloud x;
	struct bgp_peer_info before, after;

	cloud_make(&x);
	many(x.t[CE1], 0, 1000, BGP_TO_CUSTOMERS);
	world_run(&x.w, 100);
	bgp_peer_info(x.a_ce1, &before);
	assert_int_equal(before.n_prefixes, 1000);
	assert_true(before.n_updates_in <= 4); /* packed */
	assert_true(bgp_peer_refresh(x.a_ce1));
	assert_true(bgp_peer_refresh(x.host_a));
	x.w.node[EDGE_A].due = x.w.now;
	world_run(&x.w, 100);
	bgp_peer_info(x.a_ce1, &after);
	assert_true(after.n_updates_in > before.n_updates_in);
	assert_int_equal(after.n_prefixes, 1000);
	bgp_peer_info(x.host_a, &after);
	assert_int_equal(after.n_prefixes, 1000);
	world_fini(&x.w);
}

/* The CE goes and comes back gracefully; what it no longer has is swept at End-of-RIB. */
static void
test_helper(void **state)
{
	struct cloud x;
	struct bgp_path p[BGP_PATHS_MAX];
	struct end *e;
	unsigned changed;

	cloud_make(&x);
	many(x.t[CE1], 0, 10, BGP_TO_CUSTOMERS);
	world_run(&x.w, 100);
	assert_int_equal(bgp_table_count(x.t[HOST]), 10);
	e = world_end(&x.w, x.ce1);
	changed = x.w.node[HOST].n_changed;
	world_kill(&x.w, CE1);
	world_run(&x.w, 5000);
	assert_false(is_up(x.a_ce1));
	assert_int_equal(lookup(x.t[EDGE_A], "11.0.0.0/24", p), 1);
	assert_true(p[0].is_stale);
	assert_int_equal(bgp_table_count(x.t[HOST]), 10);

	world_speaker(&x.w, CE1,
		      (struct bgp_speaker_config){ .as = { 4200000001 }, .is_restarting = true });
	x.t[CE1] = make_table(x.w.node[CE1].s, 1, 1, false);
	many(x.t[CE1], 0, 8, BGP_TO_CUSTOMERS);
	x.ce1 = world_rejoin(&x.w, e, CE1, customer(x.t[CE1], 12076));
	world_until(&x.w, is_up, x.a_ce1, 10000);
	world_run(&x.w, 100);
	assert_int_equal(lookup(x.t[EDGE_A], "11.0.0.0/24", p), 1);
	assert_false(p[0].is_stale);
	assert_int_equal(bgp_table_count(x.t[EDGE_A]), 8);
	assert_int_equal(bgp_table_count(x.t[HOST]), 8);
	assert_int_equal(x.w.node[HOST].n_changed - changed, 2); /* only the two that went */

	/* it goes for good: the restart time ends it */
	world_kill(&x.w, CE1);
	world_run(&x.w, 119000);
	assert_int_equal(bgp_table_count(x.t[HOST]), 8);
	world_run(&x.w, 2000);
	assert_int_equal(bgp_table_count(x.t[HOST]), 0);
	world_fini(&x.w);
}

static void
test_bfd_down(void **state)
{
	struct cloud x;

	cloud_make(&x);
	many(x.t[CE1], 0, 10, BGP_TO_CUSTOMERS);
	world_run(&x.w, 100);
	world_kill(&x.w, CE1);
	world_run(&x.w, 100);
	assert_int_equal(bgp_table_count(x.t[EDGE_A]), 10);
	bgp_peer_bfd_down(x.a_ce1, x.w.now); /* stale ones go at once */
	x.w.node[EDGE_A].due = x.w.now;
	world_run(&x.w, 10);
	assert_int_equal(bgp_table_count(x.t[EDGE_A]), 0);
	assert_int_equal(bgp_table_count(x.t[HOST]), 0);
	bgp_peer_bfd_down(x.a_host, x.w.now);
	x.w.node[EDGE_A].due = x.w.now;
	world_run(&x.w, 1);
	assert_false(is_up(x.a_host));
	world_until(&x.w, is_up, x.a_host, 20000);
	world_fini(&x.w);
}

/* Edge A is killed and comes back: nobody loses a route; A decides only when it has heard all. */
static void
restart_edge(struct cloud *x, bool with_ce)
{
	struct end *ce = world_end(&x->w, x->a_ce1), *b = world_end(&x->w, x->a_b),
		   *host = world_end(&x->w, x->a_host);

	world_kill(&x->w, EDGE_A);
	ce->is_cut = !with_ce;
	world_run(&x->w, 3000);
	cloud_edges(x, true);
	x->a_ce1 = world_rejoin(&x->w, ce, EDGE_A, customer(x->t[EDGE_A], 4200000001));
	x->a_b = world_rejoin(&x->w, b, EDGE_A, fabric(EDGE_A, EDGE_B));
	x->a_host = world_rejoin(&x->w, host, EDGE_A, fabric(EDGE_A, HOST));
}

static void
test_restarting(void **state)
{
	struct cloud x;
	unsigned host_changed, b_changed, ce_changed;

	cloud_make(&x);
	many(x.t[CE1], 0, 10, BGP_TO_CUSTOMERS);
	originate(x.t[HOST], "10.20.0.4/32", BGP_TO_FABRIC);
	world_run(&x.w, 100);
	host_changed = x.w.node[HOST].n_changed;
	b_changed = x.w.node[EDGE_B].n_changed;
	ce_changed = x.w.node[CE1].n_changed;
	restart_edge(&x, true);
	assert_int_equal(x.w.node[EDGE_A].n_ready, 0);
	world_until(&x.w, is_up, x.a_ce1, 10000);
	world_until(&x.w, is_up, x.a_b, 10000);
	world_until(&x.w, is_up, x.a_host, 10000);
	world_run(&x.w, 1000);
	assert_int_equal(x.w.node[EDGE_A].n_ready, 2);
	assert_int_equal(bgp_table_count(x.t[EDGE_A]), 10);
	assert_int_equal(bgp_table_count(x.vnet_a), 1);
	assert_int_equal(x.w.node[HOST].n_changed, host_changed);
	assert_int_equal(x.w.node[EDGE_B].n_changed, b_changed);
	assert_int_equal(x.w.node[CE1].n_changed, ce_changed);
	world_run(&x.w, 400000); /* past every restart and stale time */
	assert_int_equal(bgp_table_count(x.t[HOST]), 11);
	assert_int_equal(x.w.node[HOST].n_changed, host_changed);
	world_fini(&x.w);
}

/* The CE does not come back with us: 60 s, then we go on, and the host's stale routes go. */
static void
test_restarting_deadline(void **state)
{
	struct cloud x;

	cloud_make(&x);
	many(x.t[CE1], 0, 10, BGP_TO_CUSTOMERS);
	world_run(&x.w, 100);
	restart_edge(&x, false);
	world_until(&x.w, is_up, x.a_host, 10000);
	world_run(&x.w, 45000);
	assert_false(bgp_table_is_ready(x.t[EDGE_A]));
	assert_true(bgp_table_is_ready(x.vnet_a)); /* needs only the fabric */
	assert_int_equal(bgp_table_count(x.t[HOST]), 10);
	world_run(&x.w, 20000);
	assert_true(bgp_table_is_ready(x.t[EDGE_A]));
	assert_int_equal(bgp_table_count(x.t[HOST]), 0);
	world_fini(&x.w);
}

/* RFC 4724 4.2: the peer is back before we noticed that it went. */
static void
test_unseen_restart(void **state)
{
	struct cloud x;
	struct end *e;

	cloud_make(&x);
	many(x.t[CE1], 0, 10, BGP_TO_CUSTOMERS);
	world_run(&x.w, 100);
	e = world_end(&x.w, x.ce1);
	world_cut(&x.w, e, true);
	world_kill(&x.w, CE1);
	world_speaker(&x.w, CE1,
		      (struct bgp_speaker_config){ .as = { 4200000001 }, .is_restarting = true });
	x.t[CE1] = make_table(x.w.node[CE1].s, 1, 1, false);
	many(x.t[CE1], 0, 10, BGP_TO_CUSTOMERS);
	x.ce1 = world_rejoin(&x.w, e, CE1, customer(x.t[CE1], 12076));
	assert_true(is_up(x.a_ce1));
	world_until(&x.w, is_up, x.ce1, 5000);
	world_run(&x.w, 1000);
	assert_true(is_up(x.a_ce1));
	assert_int_equal(bgp_table_count(x.t[EDGE_A]), 10);
	world_fini(&x.w);
}

/* A gracefully restarted peer that forgets End-of-RIB: stale_s ends it. */
static void
test_no_end_of_rib(void **state)
{
	struct cloud x;
	struct end *e;
	struct bgp_table_config late = { .name = "late" };

	cloud_make(&x);
	many(x.t[CE1], 0, 10, BGP_TO_CUSTOMERS);
	world_run(&x.w, 100);
	e = world_end(&x.w, x.ce1);
	world_kill(&x.w, CE1);
	world_run(&x.w, 100);
	/* its own deferral never ends: another table of it waits for a peer that does not come */
	world_speaker(&x.w, CE1,
		      (struct bgp_speaker_config){ .as = { 4200000001 },
						   .is_restarting = true,
						   .deferral_ms = 100000000 });
	x.t[CE1] = bgp_table_create(x.w.node[CE1].s, &late);
	{
		struct bgp_peer_config c = customer(x.t[CE1], 65099);

		c.local = addr_v4(0x0a636301);
		c.remote = addr_v4(0x0a636302);
		c.is_passive = true;
		bgp_peer_start(bgp_peer_create(x.w.node[CE1].s, &c, NULL), x.w.now);
	}
	x.ce1 = world_rejoin(&x.w, e, CE1, customer(x.t[CE1], 12076));
	world_until(&x.w, is_up, x.a_ce1, 10000);
	world_run(&x.w, 350000);
	assert_int_equal(bgp_table_count(x.t[HOST]), 10);
	world_run(&x.w, 20000);
	assert_int_equal(bgp_table_count(x.t[HOST]), 0);
	assert_true(is_up(x.a_ce1));
	world_fini(&x.w);
}

/* A slow reader of a big table, while the table changes under the walk. */
static void
test_churn(void **state)
{
	struct cloud x;

	cloud_make(&x);
	for (unsigned round = 0; round < 30; round++) {
		many(x.t[CE1], world_random(&x.w, 3000), 3000 + world_random(&x.w, 3000),
		     BGP_TO_CUSTOMERS);
		if (round % 7 == 3)
			world_cut(&x.w, world_end(&x.w, x.a_host), false);
		world_run(&x.w, world_random(&x.w, 3));
		many(x.t[CE1], world_random(&x.w, 3000), 3000 + world_random(&x.w, 3000), 0);
		world_run(&x.w, world_random(&x.w, 3));
	}
	world_run(&x.w, 20000);
	assert_int_equal(bgp_table_count(x.t[EDGE_A]), count_advertised(x.ce1));
	assert_int_equal(bgp_table_count(x.t[HOST]), bgp_table_count(x.t[EDGE_A]));
	assert_int_equal(bgp_table_count(x.t[EDGE_B]), bgp_table_count(x.t[EDGE_A]));
	world_fini(&x.w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_story),
		cmocka_unit_test(test_withdraw_and_best_external),
		cmocka_unit_test(test_imports),
		cmocka_unit_test(test_trust),
		cmocka_unit_test(test_reflector),
		cmocka_unit_test(test_max_prefix),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_refresh),
		cmocka_unit_test(test_helper),
		cmocka_unit_test(test_bfd_down),
		cmocka_unit_test(test_restarting),
		cmocka_unit_test(test_restarting_deadline),
		cmocka_unit_test(test_unseen_restart),
		cmocka_unit_test(test_no_end_of_rib),
		cmocka_unit_test(test_churn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
