/* Open addressing with linear probing; deletion shifts back, so there are no tombstones. */
#include "base/map.h"

#include "base/mem.h"

#include <sys/random.h>

struct map_slot {
	char *key; /* NULL: free */
	size_t len;
	uint64_t hash;
	void *value;
};

static uint64_t
mix(uint64_t h)
{
	h ^= h >> 32;
	h *= 0x9e3779b97f4a7c15u;
	h ^= h >> 29;
	h *= 0xbf58476d1ce4e5b9u;
	return h ^ h >> 32;
}

uint64_t
map_hash(const void *p, size_t n)
{
	static uint64_t seed;
	const uint8_t *b = p;
	uint64_t h, w;

	if (!seed && getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = 0x6a09e667f3bcc909u;
	h = seed ^ n;
	for (; n >= 8; b += 8, n -= 8) {
		memcpy(&w, b, 8);
		h = mix(h ^ w);
	}
	w = 0;
	memcpy(&w, b, n);
	return mix(h ^ w);
}

static size_t
find(const struct map *m, const void *key, size_t len, uint64_t h)
{
	size_t i = h & (m->cap - 1);

	while (m->slots[i].key && (m->slots[i].hash != h || m->slots[i].len != len ||
				   memcmp(m->slots[i].key, key, len)))
		i = (i + 1) & (m->cap - 1);
	return i;
}

static void
grow(struct map *m)
{
	struct map old = *m;

	m->cap = old.cap ? old.cap * 2 : 16;
	m->slots = mem_array(m->cap, sizeof(*m->slots));
	for (size_t i = 0; i < old.cap; i++) {
		const struct map_slot *s = &old.slots[i];

		if (s->key)
			m->slots[find(m, s->key, s->len, s->hash)] = *s;
	}
	free(old.slots);
}

void
map_fini(struct map *m)
{
	for (size_t i = 0; i < m->cap; i++)
		free(m->slots[i].key);
	free(m->slots);
	*m = (struct map){ 0 };
}

void *
map_get(const struct map *m, const void *key, size_t len)
{
	return m->n ? m->slots[find(m, key, len, map_hash(key, len))].value : NULL;
}

void *
map_put(struct map *m, const void *key, size_t len, void *value)
{
	uint64_t h = map_hash(key, len);
	struct map_slot *s;
	void *before;

	assert(value);
	if ((m->n + 1) * 4 > m->cap * 3)
		grow(m);
	s = &m->slots[find(m, key, len, h)];
	before = s->value;
	if (!s->key) {
		s->key = mem_alloc(len + 1);
		memcpy(s->key, key, len);
		s->len = len;
		s->hash = h;
		m->n++;
	}
	s->value = value;
	return before;
}

void *
map_remove(struct map *m, const void *key, size_t len)
{
	size_t i, j, mask = m->cap - 1;
	void *before;

	if (!m->n)
		return NULL;
	i = find(m, key, len, map_hash(key, len));
	if (!m->slots[i].key)
		return NULL;
	before = m->slots[i].value;
	free(m->slots[i].key);
	for (j = (i + 1) & mask; m->slots[j].key; j = (j + 1) & mask) {
		size_t home = m->slots[j].hash & mask;

		if (((j - home) & mask) >= ((j - i) & mask)) {
			m->slots[i] = m->slots[j];
			i = j;
		}
	}
	m->slots[i] = (struct map_slot){ 0 };
	m->n--;
	return before;
}

bool
map_next(const struct map *m, struct map_iter *it)
{
	for (; it->at < m->cap; it->at++) {
		const struct map_slot *s = &m->slots[it->at];

		if (s->key) {
			it->at++;
			it->key = s->key;
			it->len = s->len;
			it->value = s->value;
			return true;
		}
	}
	return false;
}
