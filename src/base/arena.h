/* Memory with one lifetime: a request, a message, a transaction. Nothing inside is freed alone,
 * nothing inside is kept longer. Zeroed, aligned to 16, never NULL. */
#pragma once

#include "base/base.h"

struct arena_block;
struct arena {
	struct arena_block *head;
};

void *arena_alloc(struct arena *a, size_t n) __attribute__((returns_nonnull));
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF(2, 3);
/* Frees everything; the arena may be used again. */
void arena_reset(struct arena *a);

#define NEW(a, T) ((T *)arena_alloc((a), sizeof(T)))
#define NEW_ARRAY(a, T, n) ((T *)arena_alloc((a), sizeof(T) * (n)))

static inline UNUSED void
arena_cleanup(struct arena *a)
{
	arena_reset(a);
}
#define AUTO_ARENA __attribute__((cleanup(arena_cleanup))) struct arena
