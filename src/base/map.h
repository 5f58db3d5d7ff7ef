/* Hash map from a byte-string key to a pointer. Keys are copied; values are the caller's. Seeded
 * per process (SipHash-like mixing is not needed here: keys from outside are capped in number by
 * their owners, and the seed is random). Iteration order is unspecified. */
#pragma once

#include "base/base.h"

struct map_slot;
struct map {
	struct map_slot *slots;
	size_t n, cap;
};

void map_fini(struct map *m); /* frees keys and table, not the values */
void *map_get(const struct map *m, const void *key, size_t len);
/* Returns the value that was there before, or NULL. value must not be NULL. */
void *map_put(struct map *m, const void *key, size_t len, void *value);
void *map_remove(struct map *m, const void *key, size_t len);

static inline void *
map_get_str(const struct map *m, const char *key)
{
	return map_get(m, key, strlen(key));
}
static inline void *
map_put_str(struct map *m, const char *key, void *value)
{
	return map_put(m, key, strlen(key), value);
}
static inline void *
map_remove_str(struct map *m, const char *key)
{
	return map_remove(m, key, strlen(key));
}

/* struct map_iter it = {0}; while (map_next(m, &it)) use(it.key, it.len, it.value);
 * The map must not change meanwhile, except that the current entry's value may be replaced. */
struct map_iter {
	size_t at;
	const void *key; /* also NUL-terminated */
	size_t len;
	void *value;
};
bool map_next(const struct map *m, struct map_iter *it);

/* 64-bit hash of bytes, seeded per process. */
uint64_t map_hash(const void *p, size_t n);
