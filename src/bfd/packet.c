/* RFC 5880 4.1 and the part of 6.8.6 that looks at the packet alone. */
#include "bfd/packet.h"

enum { VERSION = 1 };
/* The second octet below the state, RFC 5880 4.1. */
enum { F_MULTIPOINT = 1, F_DEMAND = 2, F_AUTH = 4, F_CONTROL = 8, F_FINAL = 16, F_POLL = 32 };

int
bfd_packet_parse(struct cursor pkt, struct bfd_packet *ret, struct err *e)
{
	size_t size = cur_left(&pkt);
	uint8_t first = cur_u8(&pkt);
	uint8_t second = cur_u8(&pkt);
	uint8_t mult = cur_u8(&pkt);
	uint8_t length = cur_u8(&pkt);
	struct bfd_packet p = {
		.version = first >> 5,
		.diag = first & 31,
		.state = second >> 6,
		.is_poll = second & F_POLL,
		.is_final = second & F_FINAL,
		.is_control_independent = second & F_CONTROL,
		.is_demand = second & F_DEMAND,
		.detect_mult = mult,
	};

	p.my_discr = cur_be32(&pkt);
	p.your_discr = cur_be32(&pkt);
	p.desired_min_tx_us = cur_be32(&pkt);
	p.required_min_rx_us = cur_be32(&pkt);
	p.required_min_echo_us = cur_be32(&pkt);
	/* RFC 5880 6.8.6, in its order */
	if (pkt.bad)
		return err_set(e, -EBADMSG, "%zu bytes are too few", size);
	if (p.version != VERSION)
		return err_set(e, -EBADMSG, "version %u", p.version);
	if (length < BFD_PACKET_SIZE || length > size)
		return err_set(e, -EBADMSG, "length %u in %zu bytes", length, size);
	if (p.detect_mult == 0)
		return err_set(e, -EBADMSG, "detection multiplier 0");
	if (second & F_MULTIPOINT)
		return err_set(e, -EBADMSG, "multipoint bit set");
	if (p.my_discr == 0)
		return err_set(e, -EBADMSG, "my discriminator is 0");
	if (p.your_discr == 0 && p.state != BFD_DOWN && p.state != BFD_ADMIN_DOWN)
		return err_set(e, -EBADMSG, "your discriminator is 0 in state %s",
			       bfd_state_name(p.state));
	if (second & F_AUTH)
		return err_set(e, -EBADMSG, "authentication is not in use");
	if (p.is_poll && p.is_final) /* 6.5 */
		return err_set(e, -EBADMSG, "poll and final in one packet");
	*ret = p;
	return 0;
}

static void
put_be32(uint8_t *b, uint32_t v)
{
	b[0] = (uint8_t)(v >> 24);
	b[1] = (uint8_t)(v >> 16);
	b[2] = (uint8_t)(v >> 8);
	b[3] = (uint8_t)v;
}

void
bfd_packet_write(const struct bfd_packet *p, uint8_t out[BFD_PACKET_SIZE])
{
	out[0] = (uint8_t)(VERSION << 5 | (p->diag & 31));
	out[1] = (uint8_t)((unsigned)p->state << 6 | (p->is_poll ? F_POLL : 0) |
			   (p->is_final ? F_FINAL : 0) |
			   (p->is_control_independent ? F_CONTROL : 0) |
			   (p->is_demand ? F_DEMAND : 0));
	out[2] = p->detect_mult;
	out[3] = BFD_PACKET_SIZE;
	put_be32(out + 4, p->my_discr);
	put_be32(out + 8, p->your_discr);
	put_be32(out + 12, p->desired_min_tx_us);
	put_be32(out + 16, p->required_min_rx_us);
	put_be32(out + 20, p->required_min_echo_us);
}

const char *
bfd_state_name(enum bfd_state s)
{
	static const char *const names[] = { "AdminDown", "Down", "Init", "Up" };

	return (unsigned)s < COUNT(names) ? names[s] : "?";
}

const char *
bfd_diag_text(uint8_t diag)
{
#define BFD_DIAG_TEXT(name, text) text,
	static const char *const texts[] = { BFD_DIAGS(BFD_DIAG_TEXT) };
#undef BFD_DIAG_TEXT

	return diag < COUNT(texts) ? texts[diag] : "unassigned diagnostic";
}
