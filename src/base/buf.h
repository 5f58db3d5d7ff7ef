/* A growing byte buffer for what we write: messages, JSON, tables. Appending cannot fail (a failed
 * malloc ends the process). Multi-byte puts are big endian. buf_fini() frees; a zeroed struct is
 * empty and ready. */
#pragma once

#include "base/base.h"

struct buf {
	uint8_t *p;
	size_t n, cap;
};

void buf_fini(struct buf *b);
void buf_reserve(struct buf *b, size_t more);
void buf_put(struct buf *b, const void *p, size_t n);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
/* Drops the first n bytes. */
void buf_drop(struct buf *b, size_t n);
/* The text so far as a C string; valid until the next change. */
const char *buf_str(struct buf *b);

static inline void
buf_reset(struct buf *b)
{
	b->n = 0;
}

static inline void
buf_u8(struct buf *b, uint8_t v)
{
	buf_put(b, &v, 1);
}

static inline void
buf_be16(struct buf *b, uint16_t v)
{
	uint8_t x[2] = { (uint8_t)(v >> 8), (uint8_t)v };

	buf_put(b, x, 2);
}

static inline void
buf_be24(struct buf *b, uint32_t v)
{
	uint8_t x[3] = { (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };

	buf_put(b, x, 3);
}

static inline void
buf_be32(struct buf *b, uint32_t v)
{
	uint8_t x[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };

	buf_put(b, x, 4);
}

static inline void
buf_be64(struct buf *b, uint64_t v)
{
	buf_be32(b, (uint32_t)(v >> 32));
	buf_be32(b, (uint32_t)v);
}

/* Overwrites two bytes at an earlier offset: lengths known only afterwards. */
static inline void
buf_be16_at(struct buf *b, size_t at, uint16_t v)
{
	assert(at + 2 <= b->n);
	b->p[at] = (uint8_t)(v >> 8);
	b->p[at + 1] = (uint8_t)v;
}

static inline UNUSED void
buf_cleanup(struct buf *b)
{
	buf_fini(b);
}
#define AUTO_BUF __attribute__((cleanup(buf_cleanup))) struct buf
