/* Two engines over a wire that may be cut, in simulated time; and one engine against packets made by
 * hand for the odd cases of RFC 5880 6.8. */
#include "../test.h"

#include "bfd/session.h"

enum { MS = 1000, MAX_STEPS = 100000 };

struct pair {
	struct bfd_session *s[2];
	struct mono now;
	bool is_cut[2]; /* direction: what s[i] sends is lost */
	uint64_t n_sent[2];
	int64_t last_sent[2], shortest[2], longest[2];
};

static struct bfd_config
config(uint32_t discr, uint32_t us, uint8_t mult)
{
	return (struct bfd_config){ .local_discr = discr,
				    .min_tx_us = us,
				    .min_rx_us = us,
				    .detect_mult = mult,
				    .seed = discr * 77 };
}

static void
pair_init(struct pair *p)
{
	struct bfd_config a = config(1, 300 * MS, 3), b = config(2, 300 * MS, 3);

	*p = (struct pair){ .now = { 1000000000 } };
	p->s[0] = bfd_session_create(&a, p->now);
	p->s[1] = bfd_session_create(&b, p->now);
}

static void
pair_fini(struct pair *p)
{
	bfd_session_destroy(p->s[0]);
	bfd_session_destroy(p->s[1]);
}

static void
measure(struct pair *p, int i)
{
	int64_t gap = p->now.us - p->last_sent[i];

	if (p->last_sent[i] && gap) {
		p->shortest[i] = p->shortest[i] ? MIN(p->shortest[i], gap) : gap;
		p->longest[i] = MAX(p->longest[i], gap);
	}
	p->last_sent[i] = p->now.us;
	p->n_sent[i]++;
}

static void
deliver(struct pair *p)
{
	uint8_t b[BFD_PACKET_SIZE];
	bool is_busy = true;

	while (is_busy) {
		is_busy = false;
		for (int i = 0; i < 2; i++) {
			bfd_session_tick(p->s[i], p->now);
			while (bfd_session_take(p->s[i], b)) {
				struct bfd_packet k;

				measure(p, i);
				is_busy = true;
				assert_int_equal(bfd_packet_parse(cur_make(b, sizeof(b)), &k, NULL),
						 0);
				if (!p->is_cut[i])
					assert_int_equal(
						bfd_session_input(p->s[!i], &k, p->now, NULL), 0);
			}
		}
	}
}

static void
run(struct pair *p, int64_t ms)
{
	struct mono end = mono_add_ms(p->now, ms);

	for (int n = 0; n < MAX_STEPS; n++) {
		struct mono next;

		deliver(p);
		next = mono_min(bfd_session_deadline(p->s[0]), bfd_session_deadline(p->s[1]));
		assert_true(next.us > p->now.us);
		if (next.us > end.us) {
			p->now = end;
			return;
		}
		p->now = next;
	}
	fail_msg("time stands still");
}

static struct bfd_status
status(const struct pair *p, int i)
{
	return bfd_session_status(p->s[i]);
}

static void
comes_up_and_speeds_up(void **state)
{
	struct pair p;

	pair_init(&p);
	run(&p, 3000);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(status(&p, i).state, BFD_UP);
		assert_int_equal(status(&p, i).remote_discr, 2 - i);
		assert_int_equal(status(&p, i).tx_us, 300 * MS);
		assert_int_equal(status(&p, i).detect_us, 900 * MS);
		assert_true(status(&p, i).is_remote_control_independent);
		assert_int_equal(status(&p, i).n_up, 1);
		p.shortest[i] = p.longest[i] = p.last_sent[i] = 0;
	}
	run(&p, 60000);
	for (int i = 0; i < 2; i++) { /* 6.8.7 */
		assert_in_range(p.shortest[i], 225 * MS, 240 * MS);
		assert_in_range(p.longest[i], 285 * MS, 300 * MS);
		assert_int_equal(status(&p, i).n_down, 0);
	}
	pair_fini(&p);
}

static void
detects_a_cut_in_time(void **state)
{
	struct pair p;
	struct mono cut;

	pair_init(&p);
	run(&p, 10000);
	cut = p.now;
	p.is_cut[0] = true; /* one direction only */
	run(&p, 1500);
	assert_int_equal(status(&p, 1).state, BFD_DOWN);
	assert_int_equal(status(&p, 1).diag, BFD_DIAG_DETECT);
	assert_in_range(status(&p, 1).changed.us - cut.us, 600 * MS, 900 * MS);
	assert_int_equal(status(&p, 0).state, BFD_DOWN);
	assert_int_equal(status(&p, 0).diag, BFD_DIAG_NEIGHBOR);
	assert_true(status(&p, 1).tx_us >= 1000 * MS); /* 6.8.3: slow while not Up */
	p.is_cut[0] = false;
	run(&p, 4000);
	assert_int_equal(status(&p, 0).state, BFD_UP);
	assert_int_equal(status(&p, 1).n_up, 2);
	assert_int_equal(status(&p, 1).n_down, 1);
	pair_fini(&p);
}

static void
admin_down_is_said_and_undone(void **state)
{
	struct pair p;
	struct bfd_config c = config(1, 300 * MS, 3);

	pair_init(&p);
	run(&p, 5000);
	c.is_admin_down = true;
	bfd_session_configure(p.s[0], &c, p.now);
	run(&p, 10);
	assert_int_equal(status(&p, 0).state, BFD_ADMIN_DOWN);
	assert_int_equal(status(&p, 1).state, BFD_DOWN);
	assert_int_equal(status(&p, 1).remote_state, BFD_ADMIN_DOWN);
	assert_int_equal(status(&p, 1).diag, BFD_DIAG_NEIGHBOR);
	run(&p, 10000);
	assert_int_equal(status(&p, 1).state, BFD_DOWN);
	c.is_admin_down = false;
	bfd_session_configure(p.s[0], &c, p.now);
	run(&p, 5000);
	assert_int_equal(status(&p, 0).state, BFD_UP);
	pair_fini(&p);
}

/* 6.8.3: a slower transmit waits for the Final; the peer never detects. */
static void
slowing_down_polls_first(void **state)
{
	struct pair p;
	struct bfd_config c = config(1, 2000 * MS, 3);

	pair_init(&p);
	run(&p, 5000);
	p.is_cut[1] = true; /* no Final comes */
	bfd_session_configure(p.s[0], &c, p.now);
	run(&p, 200);
	assert_int_equal(status(&p, 0).tx_us, 300 * MS);
	p.is_cut[1] = false;
	run(&p, 2000);
	assert_int_equal(status(&p, 0).tx_us, 2000 * MS);
	assert_int_equal(status(&p, 1).detect_us, 6000 * MS);
	run(&p, 30000);
	assert_int_equal(status(&p, 0).n_down + status(&p, 1).n_down, 0);
	pair_fini(&p);
}

/* 6.8.3: a change during a Poll gets a Poll of its own. */
static void
changes_during_a_poll_are_polled(void **state)
{
	struct pair p;
	struct bfd_config c = config(1, 1000 * MS, 3);

	pair_init(&p);
	run(&p, 5000);
	p.is_cut[1] = true;
	bfd_session_configure(p.s[0], &c, p.now);
	run(&p, 50);
	c = config(1, 1500 * MS, 4);
	bfd_session_configure(p.s[0], &c, p.now);
	p.is_cut[1] = false;
	run(&p, 5000);
	assert_int_equal(status(&p, 0).tx_us, 1500 * MS);
	assert_int_equal(status(&p, 1).detect_us, 6000 * MS);
	assert_int_equal(status(&p, 1).n_down, 0);
	pair_fini(&p);
}

static void
a_successor_resumes_unnoticed(void **state)
{
	struct pair p;
	struct bfd_saved saved;

	pair_init(&p);
	run(&p, 5000);
	for (int i = 0; i < 20; i++) {
		bfd_session_save(p.s[0], &saved);
		bfd_session_destroy(p.s[0]);
		p.now = mono_add_ms(p.now, 250); /* dead for so long */
		p.s[0] = bfd_session_restore(&saved, p.now);
		assert_non_null(p.s[0]);
		assert_true(bfd_session_changed(p.s[0]));
		run(&p, 500 + i * 37);
		assert_int_equal(status(&p, 0).local_discr, 1);
		assert_int_equal(status(&p, 0).state, BFD_UP);
	}
	assert_int_equal(status(&p, 0).n_up, 1);
	assert_int_equal(status(&p, 1).n_down, 0);
	p.is_cut[1] = true; /* and it still detects */
	run(&p, 1000);
	assert_int_equal(status(&p, 0).state, BFD_DOWN);
	pair_fini(&p);
}

static void
nonsense_is_not_restored(void **state)
{
	struct bfd_saved saved = { { 0 } };
	struct bfd_config c = config(1, 300 * MS, 3);
	struct bfd_session *s = bfd_session_create(&c, (struct mono){ 5 });

	assert_null(bfd_session_restore(&saved, (struct mono){ 5 }));
	memset(&saved, 0xff, sizeof(saved));
	assert_null(bfd_session_restore(&saved, (struct mono){ 5 }));
	bfd_session_save(s, &saved);
	bfd_session_destroy(s);
	s = bfd_session_restore(&saved, (struct mono){ 5 });
	assert_non_null(s);
	bfd_session_destroy(s);
}

/* One engine, brought Up by hand. */

static struct bfd_packet
from_peer(enum bfd_state st)
{
	return (struct bfd_packet){ .version = 1,
				    .state = st,
				    .detect_mult = 3,
				    .my_discr = 50,
				    .your_discr = 9,
				    .desired_min_tx_us = 300 * MS,
				    .required_min_rx_us = 300 * MS };
}

static size_t
drain(struct bfd_session *s, struct bfd_packet *last)
{
	uint8_t b[BFD_PACKET_SIZE];
	size_t n = 0;

	while (bfd_session_take(s, b)) {
		assert_int_equal(bfd_packet_parse(cur_make(b, sizeof(b)), last, NULL), 0);
		n++;
	}
	return n;
}

static struct bfd_session *
up(struct mono *now)
{
	struct bfd_config c = config(9, 300 * MS, 3);
	struct bfd_session *s = bfd_session_create(&c, *now);
	struct bfd_packet p = from_peer(BFD_INIT), out = { 0 };

	bfd_session_input(s, &p, *now, NULL);
	bfd_session_tick(s, *now);
	assert_int_equal(bfd_session_status(s).state, BFD_UP);
	assert_int_equal(drain(s, &out), 1);
	assert_true(out.is_poll); /* the interval has changed from 1 s */
	p = from_peer(BFD_UP);
	p.is_final = true;
	bfd_session_input(s, &p, *now, NULL);
	return s;
}

static void
a_poll_is_answered_at_once(void **state)
{
	struct mono now = { 7000000 };
	struct bfd_session *s = up(&now);
	struct bfd_packet p = from_peer(BFD_UP), out = { 0 };

	now.us += 1000;
	p.is_poll = true;
	bfd_session_input(s, &p, now, NULL);
	assert_int_equal(drain(s, &out), 1);
	assert_true(out.is_final);
	assert_false(out.is_poll);
	bfd_session_destroy(s);
}

static void
a_foreign_discriminator_is_discarded(void **state)
{
	struct mono now = { 7000000 };
	struct bfd_session *s = up(&now);
	struct bfd_packet p = from_peer(BFD_DOWN);

	p.your_discr = 10;
	assert_int_equal(bfd_session_input(s, &p, now, NULL), -EBADMSG);
	assert_int_equal(bfd_session_status(s).state, BFD_UP);
	assert_int_equal(bfd_session_status(s).n_discarded, 1);
	bfd_session_destroy(s);
}

/* 6.8.7: nothing periodic while the peer's Required Min RX is 0, but a Poll is answered. */
static void
silent_while_the_peer_wants_nothing(void **state)
{
	struct mono now = { 7000000 };
	struct bfd_session *s = up(&now);
	struct bfd_packet p = from_peer(BFD_UP), out = { 0 };

	p.required_min_rx_us = 0;
	for (int i = 0; i < 20; i++) {
		now.us += 200 * MS;
		bfd_session_input(s, &p, now, NULL);
		bfd_session_tick(s, now);
		assert_int_equal(drain(s, &out), 0);
	}
	p.is_poll = true;
	bfd_session_input(s, &p, now, NULL);
	assert_int_equal(drain(s, &out), 1);
	p.is_poll = false;
	p.required_min_rx_us = 300 * MS;
	now.us += 300 * MS;
	bfd_session_input(s, &p, now, NULL);
	now.us += 300 * MS;
	bfd_session_tick(s, now);
	assert_int_equal(drain(s, &out), 1);
	bfd_session_destroy(s);
}

/* 6.8.7: a peer in Demand mode gets nothing periodic once both are Up. */
static void
silent_for_a_peer_in_demand_mode(void **state)
{
	struct mono now = { 7000000 };
	struct bfd_session *s = up(&now);
	struct bfd_packet p = from_peer(BFD_UP), out = { 0 };

	p.is_demand = true;
	now.us += 300 * MS;
	bfd_session_input(s, &p, now, NULL);
	now.us += 300 * MS;
	bfd_session_tick(s, now);
	assert_int_equal(drain(s, &out), 0);
	bfd_session_destroy(s);
}

/* 6.8.4: the detection time follows the peer's multiplier and interval. */
static void
detection_follows_the_peer(void **state)
{
	struct mono now = { 7000000 };
	struct bfd_session *s = up(&now);
	struct bfd_packet p = from_peer(BFD_UP);

	p.detect_mult = 5;
	p.desired_min_tx_us = 1000 * MS;
	bfd_session_input(s, &p, now, NULL);
	assert_int_equal(bfd_session_status(s).detect_us, 5000 * MS);
	now.us += 4999 * MS;
	bfd_session_tick(s, now);
	assert_int_equal(bfd_session_status(s).state, BFD_UP);
	now.us += 1 * MS;
	bfd_session_tick(s, now);
	assert_int_equal(bfd_session_status(s).state, BFD_DOWN);
	assert_int_equal(bfd_session_status(s).remote_discr, 0); /* 6.8.1 */
	bfd_session_destroy(s);
}

/* 6.2: every state heard in every state of ours. */
static void
the_state_machine(void **state)
{
	static const enum bfd_state expect[BFD_UP + 1][BFD_UP + 1] = {
		/* heard:  AdminDown       Down            Init            Up */
		{ BFD_ADMIN_DOWN, BFD_ADMIN_DOWN, BFD_ADMIN_DOWN, BFD_ADMIN_DOWN },
		{ BFD_DOWN, BFD_INIT, BFD_UP, BFD_DOWN },
		{ BFD_DOWN, BFD_INIT, BFD_UP, BFD_UP },
		{ BFD_DOWN, BFD_DOWN, BFD_UP, BFD_UP },
	};

	for (unsigned own = 0; own <= BFD_UP; own++)
		for (unsigned heard = 0; heard <= BFD_UP; heard++) {
			struct mono now = { 9000000 };
			struct bfd_config c = config(9, 300 * MS, 3);
			struct bfd_packet p;
			struct bfd_session *s;

			c.is_admin_down = own == BFD_ADMIN_DOWN;
			s = bfd_session_create(&c, now);
			p = from_peer(own == BFD_UP ? BFD_INIT : BFD_DOWN);
			if (own == BFD_INIT || own == BFD_UP)
				bfd_session_input(s, &p, now, NULL);
			assert_int_equal(bfd_session_status(s).state, own);
			p = from_peer((enum bfd_state)heard);
			bfd_session_input(s, &p, now, NULL);
			assert_int_equal(bfd_session_status(s).state, expect[own][heard]);
			bfd_session_destroy(s);
		}
}

static void
multiplier_one_keeps_below_ninety_percent(void **state)
{
	struct mono now = { 7000000 };
	struct bfd_config c = config(9, 100 * MS, 1);
	struct bfd_session *s = bfd_session_create(&c, now);
	struct bfd_packet p = from_peer(BFD_INIT), out;

	p.required_min_rx_us = p.desired_min_tx_us = 100 * MS;
	bfd_session_input(s, &p, now, NULL);
	for (int i = 0; i < 1000; i++) {
		struct mono next = bfd_session_tick(s, now);

		drain(s, &out);
		assert_in_range(next.us - now.us, 75 * MS, 90 * MS);
		now = next;
		p = from_peer(BFD_UP);
		p.required_min_rx_us = p.desired_min_tx_us = 100 * MS;
		p.is_final = true;
		bfd_session_input(s, &p, now, NULL);
	}
	bfd_session_destroy(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_up_and_speeds_up),
		cmocka_unit_test(detects_a_cut_in_time),
		cmocka_unit_test(admin_down_is_said_and_undone),
		cmocka_unit_test(slowing_down_polls_first),
		cmocka_unit_test(changes_during_a_poll_are_polled),
		cmocka_unit_test(a_successor_resumes_unnoticed),
		cmocka_unit_test(nonsense_is_not_restored),
		cmocka_unit_test(a_poll_is_answered_at_once),
		cmocka_unit_test(a_foreign_discriminator_is_discarded),
		cmocka_unit_test(silent_while_the_peer_wants_nothing),
		cmocka_unit_test(silent_for_a_peer_in_demand_mode),
		cmocka_unit_test(detection_follows_the_peer),
		cmocka_unit_test(the_state_machine),
		cmocka_unit_test(multiplier_one_keeps_below_ninety_percent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
