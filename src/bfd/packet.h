/* The BFD control packet (RFC 5880 4.1) on the wire and as a plain struct. No authentication: a
 * packet that carries a section is refused, as RFC 5880 6.8.6 asks of a session without it. */
#pragma once

#include "base/cursor.h"
#include "base/err.h"

enum bfd_state { BFD_ADMIN_DOWN, BFD_DOWN, BFD_INIT, BFD_UP };

/* RFC 5880 4.1 */
#define BFD_DIAGS(X) \
	X(NONE, "no diagnostic") \
	X(DETECT, "control detection time expired") \
	X(ECHO_FAILED, "echo function failed") \
	X(NEIGHBOR, "neighbour signalled down") \
	X(FORWARDING, "forwarding plane reset") \
	X(PATH_DOWN, "path down") \
	X(CONCAT_DOWN, "concatenated path down") \
	X(ADMIN, "administratively down") \
	X(REVERSE_DOWN, "reverse concatenated path down")
#define BFD_DIAG_ENUM(name, text) BFD_DIAG_##name,
enum bfd_diag { BFD_DIAGS(BFD_DIAG_ENUM) BFD_DIAG_COUNT };
#undef BFD_DIAG_ENUM

enum { BFD_PACKET_SIZE = 24 };

struct bfd_packet {
	uint8_t version;
	uint8_t diag; /* may be one we do not know */
	enum bfd_state state;
	bool is_poll, is_final, is_control_independent, is_demand;
	uint8_t detect_mult;
	uint32_t my_discr, your_discr;
	uint32_t desired_min_tx_us, required_min_rx_us, required_min_echo_us;
};

/* Parses and applies the checks of RFC 5880 6.8.6 that need no session. -EBADMSG with the reason,
 * *ret untouched, when the packet must be discarded. */
int bfd_packet_parse(struct cursor pkt, struct bfd_packet *ret, struct err *e);
void bfd_packet_write(const struct bfd_packet *p, uint8_t out[BFD_PACKET_SIZE]);

const char *bfd_state_name(enum bfd_state s);
const char *bfd_diag_text(uint8_t diag);
