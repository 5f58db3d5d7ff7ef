/* A stream of packets into one session, with time between them: first byte of each chunk is the
 * time step in 8 ms, then the packet's bytes (24, or what is left). */
#include "bfd/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bfd_config cfg = { .local_discr = 9,
				  .min_tx_us = 300000,
				  .min_rx_us = 300000,
				  .detect_mult = 3,
				  .seed = 1 };
	struct mono now = { 1000000 };
	struct bfd_session *s = bfd_session_create(&cfg, now);

	while (size > 1) {
		size_t n = MIN(size - 1, (size_t)BFD_PACKET_SIZE);
		uint8_t out[BFD_PACKET_SIZE];
		struct bfd_packet p;
		struct bfd_saved saved;

		now = mono_add_ms(now, data[0] * 8);
		bfd_session_tick(s, now);
		if (bfd_packet_parse(cur_make(data + 1, n), &p, NULL) == 0)
			bfd_session_input(s, &p, now, NULL);
		bfd_session_tick(s, now);
		while (bfd_session_take(s, out))
			;
		assert(bfd_session_deadline(s).us > now.us);
		bfd_session_save(s, &saved);
		bfd_session_destroy(s);
		s = bfd_session_restore(&saved, now);
		assert(s);
		data += 1 + n;
		size -= 1 + n;
	}
	bfd_session_destroy(s);
	return 0;
}
