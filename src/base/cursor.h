/* A bounds-checked reader over bytes from outside. The error sticks (bad), reads after it give
 * zeros, so a parser reads straight down and asks once. A child (cur_sub) cannot leave its parent.
 * One read per statement: the order inside an initialiser list is unspecified.
 * The bytes are borrowed. Multi-byte reads are big endian (network order) into host order. */
#pragma once

#include "base/base.h"

struct cursor {
	const uint8_t *p, *end;
	bool bad;
};

static inline struct cursor
cur_make(const void *p, size_t n)
{
	return (struct cursor){ (const uint8_t *)p, (const uint8_t *)p + n, false };
}

static inline size_t
cur_left(const struct cursor *c)
{
	return c->bad ? 0 : (size_t)(c->end - c->p);
}

/* The next n bytes, or NULL and bad. */
static inline const uint8_t *
cur_take(struct cursor *c, size_t n)
{
	if (c->bad || (size_t)(c->end - c->p) < n) {
		c->bad = true;
		return NULL;
	}
	c->p += n;
	return c->p - n;
}

/* A child over the next n bytes. */
static inline struct cursor
cur_sub(struct cursor *c, size_t n)
{
	const uint8_t *b = cur_take(c, n);

	return b ? (struct cursor){ b, b + n, false } : (struct cursor){ .bad = true };
}

static inline uint8_t
cur_u8(struct cursor *c)
{
	const uint8_t *b = cur_take(c, 1);

	return b ? b[0] : 0;
}

static inline uint16_t
cur_be16(struct cursor *c)
{
	const uint8_t *b = cur_take(c, 2);

	return b ? (uint16_t)(b[0] << 8 | b[1]) : 0;
}

static inline uint32_t
cur_be24(struct cursor *c)
{
	const uint8_t *b = cur_take(c, 3);

	return b ? (uint32_t)b[0] << 16 | (uint32_t)b[1] << 8 | b[2] : 0;
}

static inline uint32_t
cur_be32(struct cursor *c)
{
	const uint8_t *b = cur_take(c, 4);

	return b ? (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3] : 0;
}

static inline uint64_t
cur_be64(struct cursor *c)
{
	uint64_t hi = cur_be32(c);
	uint64_t lo = cur_be32(c);

	return hi << 32 | lo;
}

/* Copies the next n bytes to dst; dst is zeroed when they are not there. */
static inline void
cur_copy(struct cursor *c, void *dst, size_t n)
{
	const uint8_t *b = cur_take(c, n);

	if (b)
		memcpy(dst, b, n);
	else
		memset(dst, 0, n);
}
