#include "net/ids.h"

#include <inttypes.h>

struct rd
rd_make(uint16_t as, uint16_t node, struct fabric_number n)
{
	assert(node < 4096 && n.v <= FABRIC_NUMBER_MAX);
	return (struct rd){ (uint64_t)as << 32 | (uint64_t)node << 20 | n.v };
}

const char *
rd_format(struct rd rd, char out[RD_TEXT])
{
	unsigned type = (unsigned)(rd.v >> 48);

	if (type == 0)
		snprintf(out, RD_TEXT, "%u:%u", (unsigned)(rd.v >> 32 & 0xffff), (unsigned)rd.v);
	else if (type == 1)
		snprintf(out, RD_TEXT, "%u.%u.%u.%u:%u", (unsigned)(rd.v >> 40 & 0xff),
			 (unsigned)(rd.v >> 32 & 0xff), (unsigned)(rd.v >> 24 & 0xff),
			 (unsigned)(rd.v >> 16 & 0xff), (unsigned)(rd.v & 0xffff));
	else
		snprintf(out, RD_TEXT, "%u:%u", (unsigned)(rd.v >> 16), (unsigned)(rd.v & 0xffff));
	return out;
}

struct ext_community
rt_make(uint16_t as, struct fabric_number n)
{
	return (struct ext_community){ (uint64_t)0x0002 << 48 | (uint64_t)as << 32 | n.v };
}

bool
ext_community_is_rt(struct ext_community c)
{
	unsigned type = (unsigned)(c.v >> 56) & 0xbf; /* without the non-transitive bit */

	return (c.v >> 48 & 0xff) == 0x02 && type <= 2; /* RFC 4360 4, RFC 5668 2 */
}

const char *
ext_community_format(struct ext_community c, char out[EXT_COMMUNITY_TEXT])
{
	if (c.v >> 48 == 0x0002)
		snprintf(out, EXT_COMMUNITY_TEXT, "rt:%u:%u", (unsigned)(c.v >> 32 & 0xffff),
			 (unsigned)c.v);
	else
		snprintf(out, EXT_COMMUNITY_TEXT, "0x%016" PRIx64, c.v);
	return out;
}

int
rt_parse(const char *text, struct ext_community *ret, struct err *e)
{
	const char *s = strncmp(text, "rt:", 3) ? text : text + 3;
	unsigned long as, number;
	char *end;

	as = strtoul(s, &end, 10);
	if (end == s || *end != ':' || as > 0xffff)
		return err_set(e, -EINVAL, "'%.40s' is not a route target (AS:NUMBER)", text);
	s = end + 1;
	number = strtoul(s, &end, 10);
	if (end == s || *end || number > UINT32_MAX)
		return err_set(e, -EINVAL, "'%.40s' is not a route target (AS:NUMBER)", text);
	*ret = (struct ext_community){ (uint64_t)0x0002 << 48 | (uint64_t)as << 32 | number };
	return 0;
}
