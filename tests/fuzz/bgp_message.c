/* Any bytes as a stream of messages through the codec. The first byte chooses the session's kind.
 * What parses is encoded and parsed again: it must come back as the same value. */
#include "base/buf.h"
#include "bgp/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
update(struct cursor body, const struct bgp_update_options *o)
{
	static struct bgp_update u, again;
	struct bgp_attrs *pool;
	struct bgp_attr *x, *y;
	struct bgp_fault f = { 0 };
	struct buf b = { 0 };
	struct bgp_update_options internal = *o;

	if (bgp_update_parse(body, o, &u, &f) < 0) {
		assert(f.code == BGP_ERR_UPDATE);
		return;
	}
	if (u.verdict != BGP_USE)
		return;
	pool = bgp_attrs_create();
	x = bgp_attr_intern(pool, &u.attr);
	buf_be32(&b, 0);
	bgp_attr_put(&b, &u.attr, o->as4, u.attr.has & BGP_HAS_NEXT_HOP);
	if (b.n <= UINT16_MAX && u.attr.has & BGP_HAS_ORIGIN && u.attr.has & BGP_HAS_PATH) {
		buf_be16_at(&b, 2, (uint16_t)(b.n - 4));
		internal.is_external = false; /* attributes for internal peers are read */
		if (bgp_update_parse(cur_make(b.p, b.n), &internal, &again, &f) < 0)
			abort();
		if (o->as4) {
			y = bgp_attr_intern(pool, &again.attr);
			assert(x == y);
			bgp_attr_unref(pool, y);
		}
	}
	bgp_attr_unref(pool, x);
	bgp_attrs_destroy(pool);
	buf_fini(&b);
}

static void
open_message(struct cursor body)
{
	struct bgp_open o, again;
	struct bgp_fault f = { 0 };
	struct buf b = { 0 };

	if (bgp_open_parse(body, &o, &f) < 0) {
		assert(f.code == BGP_ERR_OPEN);
		return;
	}
	bgp_open_build(&b, &o);
	if (bgp_open_parse(cur_make(b.p + BGP_HEADER, b.n - BGP_HEADER), &again, &f) < 0)
		abort();
	assert(again.id == o.id && again.hold == o.hold);
	buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bgp_update_options o;
	struct bgp_fault f = { 0 };
	char text[128];

	if (!size)
		return 0;
	o = (struct bgp_update_options){ .as4 = data[0] & 1,
					 .is_external = data[0] & 2,
					 .families = data[0] >> 2 & 3 };
	data++;
	size--;
	while (size >= BGP_HEADER) {
		size_t len;
		enum bgp_type type;
		struct cursor body;

		if (bgp_header_parse(data, &len, &type, &f) < 0 || len > size)
			return 0;
		body = cur_make(data + BGP_HEADER, len - BGP_HEADER);
		if (type == BGP_TYPE_UPDATE)
			update(body, &o);
		if (type == BGP_TYPE_OPEN)
			open_message(body);
		if (type == BGP_TYPE_NOTIFICATION && bgp_notification_parse(body, &f) == 0)
			bgp_fault_text(&f, text, 1 + len % sizeof(text));
		data += len;
		size -= len;
	}
	return 0;
}
