#include "../test.h"

#include "bfd/packet.h"

static const uint8_t good[BFD_PACKET_SIZE] = {
	0x21, 0xc8, 3, 24, 0, 0, 0, 7, 0, 0, 0, 9, 0, 4, 0x93, 0xe0, 0, 4, 0x93, 0xe0, 0, 0, 0, 0,
};

static void
parses_what_it_writes(void **state)
{
	struct bfd_packet p = { 0 };
	uint8_t out[BFD_PACKET_SIZE];

	assert_int_equal(bfd_packet_parse(cur_make(good, sizeof(good)), &p, NULL), 0);
	assert_int_equal(p.version, 1);
	assert_int_equal(p.diag, BFD_DIAG_DETECT);
	assert_int_equal(p.state, BFD_UP);
	assert_true(p.is_control_independent);
	assert_false(p.is_poll || p.is_final || p.is_demand);
	assert_int_equal(p.detect_mult, 3);
	assert_int_equal(p.my_discr, 7);
	assert_int_equal(p.your_discr, 9);
	assert_int_equal(p.desired_min_tx_us, 300000);
	bfd_packet_write(&p, out);
	assert_memory_equal(out, good, sizeof(good));
}

/* One byte of a good packet changed: RFC 5880 6.8.6 says discard. */
static void
refuses_by_the_rfc(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		const char *says;
	} cases[] = {
		{ 0, 0x41, "version" },    { 0, 0x01, "version" },   { 3, 23, "length" },
		{ 3, 25, "length" },       { 2, 0, "multiplier" },   { 1, 0xc9, "multipoint" },
		{ 7, 0, "discriminator" }, { 1, 0xcc, "authentic" }, { 1, 0xf8, "poll and final" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct bfd_packet p = { .version = 77 };
		uint8_t b[BFD_PACKET_SIZE];
		struct err e = { 0 };

		memcpy(b, good, sizeof(b));
		b[cases[i].at] = cases[i].value;
		assert_int_equal(bfd_packet_parse(cur_make(b, sizeof(b)), &p, &e), -EBADMSG);
		assert_non_null(strstr(e.text, cases[i].says));
		assert_int_equal(p.version, 77);
	}
}

static void
refuses_every_shorter_packet(void **state)
{
	struct bfd_packet p;

	for (size_t n = 0; n < sizeof(good); n++)
		assert_int_equal(bfd_packet_parse(cur_make(good, n), &p, NULL), -EBADMSG);
}

static void
your_discriminator_zero_only_below_init(void **state)
{
	struct bfd_packet p;
	uint8_t b[BFD_PACKET_SIZE];

	memcpy(b, good, sizeof(b));
	b[11] = 0;
	for (unsigned s = BFD_ADMIN_DOWN; s <= BFD_UP; s++) {
		b[1] = (uint8_t)(s << 6);
		assert_int_equal(bfd_packet_parse(cur_make(b, sizeof(b)), &p, NULL),
				 s <= BFD_DOWN ? 0 : -EBADMSG);
	}
}

static void
bytes_after_the_packet_are_ignored(void **state)
{
	struct bfd_packet p;
	uint8_t b[BFD_PACKET_SIZE + 4] = { 0 };

	memcpy(b, good, sizeof(good));
	assert_int_equal(bfd_packet_parse(cur_make(b, sizeof(b)), &p, NULL), 0);
}

static void
names_are_total(void **state)
{
	for (int i = 0; i < 256; i++)
		assert_non_null(bfd_diag_text((uint8_t)i));
	assert_string_equal(bfd_state_name(BFD_UP), "Up");
	assert_string_equal(bfd_state_name((enum bfd_state)9), "?");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_what_it_writes),
		cmocka_unit_test(refuses_by_the_rfc),
		cmocka_unit_test(refuses_every_shorter_packet),
		cmocka_unit_test(your_discriminator_zero_only_below_init),
		cmocka_unit_test(bytes_after_the_packet_are_ignored),
		cmocka_unit_test(names_are_total),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
