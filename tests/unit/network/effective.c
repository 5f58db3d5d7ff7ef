/* Which route is used and what a tag stands for: by tables, and against a slow model. */
#include "../test.h"

#include "network/effective.h"

#include <stdio.h>

static struct prefix
pfx(const char *text)
{
	struct prefix p;
	struct err e;

	if (prefix_parse(text, &p, &e) < 0)
		fail_msg("%s", e.text);
	return p;
}

static struct addr
address(const char *text)
{
	struct addr a;
	struct err e;

	if (addr_parse(text, &a, &e) < 0)
		fail_msg("%s", e.text);
	return a;
}

/* "S" system VNet, "P" system peer, "U" user, "B" learned; hop by letter for users. */
struct row {
	const char *prefix;
	char source;
	enum effective_hop hop;
};

static void
fill(struct effective_routes *l, const struct row *rows)
{
	for (; rows->prefix; rows++) {
		struct prefix p = pfx(rows->prefix);

		effective_add(l, &p,
			      rows->source == 'U'   ? EFFECTIVE_USER
			      : rows->source == 'B' ? EFFECTIVE_LEARNED
						    : EFFECTIVE_SYSTEM,
			      rows->hop);
	}
}

#define SPACE "10.1.0.0/16"

/* In a virtual network 10.1.0.0/16 with these further routes, where does a packet go? */
static const struct {
	const char *what;
	struct row rows[5];
	const char *to;
	char source;
	enum effective_hop hop;
} choices[] = {
	{ "inside", { { 0 } }, "10.1.2.3", 'S', EFFECTIVE_VNET },
	{ "the Internet", { { 0 } }, "8.8.8.8", 'S', EFFECTIVE_INTERNET },
	{ "private space elsewhere is dropped", { { 0 } }, "10.2.0.1", 'S', EFFECTIVE_NONE },
	{ "carriers' space is dropped", { { 0 } }, "100.64.0.1", 'S', EFFECTIVE_NONE },
	{ "learned",
	  { { "10.2.0.0/16", 'B', EFFECTIVE_GATEWAY } },
	  "10.2.0.1",
	  'B',
	  EFFECTIVE_GATEWAY },
	{ "learned default: forced tunnelling",
	  { { "0.0.0.0/0", 'B', EFFECTIVE_GATEWAY } },
	  "8.8.8.8",
	  'B',
	  EFFECTIVE_GATEWAY },
	{ "the user's before the learned",
	  { { "10.2.0.0/16", 'B', EFFECTIVE_GATEWAY }, { "10.2.0.0/16", 'U', EFFECTIVE_NONE } },
	  "10.2.0.1",
	  'U',
	  EFFECTIVE_NONE },
	{ "a longer learned before the user's",
	  { { "10.2.3.0/24", 'B', EFFECTIVE_GATEWAY }, { "10.2.0.0/16", 'U', EFFECTIVE_NONE } },
	  "10.2.3.1",
	  'B',
	  EFFECTIVE_GATEWAY },
	{ "the user's before the virtual network",
	  { { SPACE, 'U', EFFECTIVE_APPLIANCE } },
	  "10.1.2.3",
	  'U',
	  EFFECTIVE_APPLIANCE },
	{ "a longer user's inside the virtual network",
	  { { "10.1.2.0/24", 'U', EFFECTIVE_APPLIANCE } },
	  "10.1.2.3",
	  'U',
	  EFFECTIVE_APPLIANCE },
	{ "the virtual network before the same learned",
	  { { SPACE, 'B', EFFECTIVE_GATEWAY } },
	  "10.1.2.3",
	  'S',
	  EFFECTIVE_VNET },
	{ "the virtual network before a longer learned",
	  { { "10.1.2.0/24", 'B', EFFECTIVE_GATEWAY } },
	  "10.1.2.3",
	  'S',
	  EFFECTIVE_VNET },
	{ "a peer before a longer learned",
	  { { "10.3.0.0/16", 'P', EFFECTIVE_PEER }, { "10.3.1.0/24", 'B', EFFECTIVE_GATEWAY } },
	  "10.3.1.1",
	  'S',
	  EFFECTIVE_PEER },
	{ "a shorter learned leaves the rest",
	  { { "10.0.0.0/8", 'B', EFFECTIVE_GATEWAY } },
	  "10.9.0.1",
	  'B',
	  EFFECTIVE_GATEWAY },
	{ "the user's default before the system's",
	  { { "0.0.0.0/0", 'U', EFFECTIVE_APPLIANCE } },
	  "8.8.8.8",
	  'U',
	  EFFECTIVE_APPLIANCE },
};

static void
the_right_route_is_used(void **state)
{
	for (size_t i = 0; i < COUNT(choices); i++) {
		AUTO_ARENA a = { 0 };
		struct effective_routes l = { .arena = &a };
		struct prefix space = pfx(SPACE);
		struct addr to = address(choices[i].to);
		const struct effective_route *r;

		effective_add_system(&l, &space, 1);
		fill(&l, choices[i].rows);
		effective_choose(&l);
		r = effective_find(&l, &to);
		assert_non_null(r);
		if (r->hop != choices[i].hop || "SUB"[r->source] != choices[i].source)
			fail_msg("%s: %c %s", choices[i].what, "SUB"[r->source],
				 effective_hop_name(r->hop));
	}
}

static void
own_private_space_is_not_dropped(void **state)
{
	AUTO_ARENA a = { 0 };
	struct effective_routes l = { .arena = &a };
	struct prefix space[] = { pfx("10.0.0.0/8"), pfx("fd00:1::/48") };
	struct addr six = address("2001:db8::1");

	effective_add_system(&l, space, 2);
	effective_choose(&l);
	for (size_t i = 0; i < l.n; i++)
		assert_false(l.v[i].hop == EFFECTIVE_NONE &&
			     prefix_equal(&l.v[i].prefix, &space[0]));
	assert_int_equal(effective_find(&l, &six)->hop, EFFECTIVE_INTERNET);
}

/* Every address's route, the long way: of all that match, none that is learned inside the virtual
 * network or its peers; then the longest; then the best source. */
static const struct effective_route *
slow_find(const struct effective_routes *l, const struct addr *to)
{
	const struct effective_route *best = NULL;

	for (size_t i = 0; i < l->n; i++) {
		const struct effective_route *r = &l->v[i];
		bool is_out = !prefix_contains(&r->prefix, to);
		int mine = r->source == EFFECTIVE_USER                            ? 3
			   : r->source == EFFECTIVE_LEARNED                       ? 1
			   : r->hop == EFFECTIVE_VNET || r->hop == EFFECTIVE_PEER ? 2
										  : 0;
		int its = -1;

		for (size_t k = 0; k < l->n && r->source == EFFECTIVE_LEARNED; k++)
			is_out |=
				l->v[k].source == EFFECTIVE_SYSTEM &&
				(l->v[k].hop == EFFECTIVE_VNET || l->v[k].hop == EFFECTIVE_PEER) &&
				prefix_covers(&l->v[k].prefix, &r->prefix);
		if (is_out)
			continue;
		if (best)
			its = best->source == EFFECTIVE_USER                               ? 3
			      : best->source == EFFECTIVE_LEARNED                          ? 1
			      : best->hop == EFFECTIVE_VNET || best->hop == EFFECTIVE_PEER ? 2
											   : 0;
		if (!best || r->prefix.len > best->prefix.len ||
		    (r->prefix.len == best->prefix.len && mine > its))
			best = r;
	}
	return best;
}

static uint32_t
next(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static void
it_agrees_with_a_slow_model(void **state)
{
	for (uint32_t run = 1; run <= 300; run++) {
		AUTO_ARENA a = { 0 };
		struct effective_routes l = { .arena = &a };
		struct prefix space = pfx(SPACE);
		uint32_t seed = run;

		effective_add_system(&l, &space, 1);
		for (unsigned i = 0, n = next(&seed) % 40; i < n; i++) {
			struct addr ad = addr_v4(0x0a000000 | (next(&seed) & 0x0003ffff));
			struct prefix p = prefix_make(&ad, 8 + next(&seed) % 24);
			enum effective_source s = (enum effective_source)(next(&seed) % 3);

			effective_add(&l, &p, s,
				      s == EFFECTIVE_SYSTEM    ? EFFECTIVE_PEER
				      : s == EFFECTIVE_LEARNED ? EFFECTIVE_GATEWAY
							       : EFFECTIVE_APPLIANCE);
		}
		effective_choose(&l);
		for (unsigned i = 0; i < 200; i++) {
			struct addr to = addr_v4(0x0a000000 | (next(&seed) & 0x0007ffff));

			if (effective_find(&l, &to) != slow_find(&l, &to))
				fail_msg("seed %u, address %08x", run, addr_u32(&to));
		}
	}
}

static void
tags_stand_for_what_they_say(void **state)
{
	AUTO_ARENA a = { 0 };
	struct effective_routes l = { .arena = &a };
	struct prefix space = pfx(SPACE);
	static const struct {
		const char *address;
		bool is_inside, is_internet;
	} of[] = {
		{ "10.1.0.1", true, false },      { "10.2.0.1", true, false },
		{ "172.31.0.1", false, false },   { "168.63.129.16", true, false },
		{ "203.0.113.9", true, false },   { "8.8.8.8", false, true },
		{ "127.0.0.1", false, false },    { "224.0.0.1", false, false },
		{ "168.63.129.17", false, true }, { "10.99.0.1", false, false },
	};

	effective_add_system(&l, &space, 1);
	fill(&l, (const struct row[]){ { "10.2.0.0/16", 'B', EFFECTIVE_GATEWAY },
				       { "10.2.1.0/24", 'B', EFFECTIVE_GATEWAY },
				       { "203.0.113.0/24", 'U', EFFECTIVE_APPLIANCE },
				       { "0.0.0.0/0", 'B', EFFECTIVE_GATEWAY },
				       { 0 } });
	effective_choose(&l);
	struct effective_set in = effective_virtual_network(&a, &l);
	struct effective_set out = effective_internet(&a, &in);

	assert_int_equal(in.n, 4); /* the covered one is gone */
	for (size_t i = 0; i < COUNT(of); i++) {
		struct addr ad = address(of[i].address);
		bool is_in = false, is_out = false;

		for (size_t k = 0; k < in.n; k++)
			is_in |= prefix_contains(&in.v[k], &ad);
		for (size_t k = 0; k < out.n; k++)
			is_out |= prefix_contains(&out.v[k], &ad);
		if (is_in != of[i].is_inside || is_out != of[i].is_internet)
			fail_msg("%s: inside %d, Internet %d", of[i].address, is_in, is_out);
	}
	for (size_t i = 1; i < out.n; i++)
		assert_false(prefix_overlaps(&out.v[i - 1], &out.v[i]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_right_route_is_used),
		cmocka_unit_test(own_private_space_is_not_dropped),
		cmocka_unit_test(it_agrees_with_a_slow_model),
		cmocka_unit_test(tags_stand_for_what_they_say),
	};

	return cmocka_run_group_tests_name("effective", tests, NULL, NULL);
}
