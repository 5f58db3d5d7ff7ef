/* How often something went wrong, by key, in the minute: a fixed table, so that nobody can make it
 * grow. A key that comes new takes the place of the one that is oldest in its row. */
#include "identity/oauth.h"

#include "base/map.h"
#include "base/mem.h"
#include "net/addr.h"

enum { ROWS = 1024, WAYS = 4 };
#define WINDOW_US (60 * SECOND)

struct slot {
	uint64_t key; /* seeded hash; 0: free */
	int64_t since_us;
	unsigned n;
};

struct limits {
	pthread_mutex_t lock;
	struct slot slots[ROWS][WAYS];
};

struct limits *
limits_create(void)
{
	struct limits *l = mem_alloc(sizeof(*l));

	pthread_mutex_init(&l->lock, NULL);
	return l;
}

void
limits_destroy(struct limits *l)
{
	if (!l)
		return;
	pthread_mutex_destroy(&l->lock);
	free(l);
}

const char *
limit_address(struct arena *a, const char *remote)
{
	char text[ADDR_TEXT];
	struct addr ad;

	if (!strchr(remote, ':') || addr_parse(remote, &ad, NULL) < 0)
		return remote;
	memset(ad.b + 8, 0, 8);
	return arena_strdup(a, addr_format(&ad, text));
}

static struct slot *
find(struct limits *l, uint64_t key, int64_t now_us)
{
	struct slot *row = l->slots[key % ROWS], *oldest = row;

	for (size_t i = 0; i < WAYS; i++) {
		if (row[i].key == key) {
			if (now_us - row[i].since_us >= WINDOW_US)
				row[i] = (struct slot){ key, now_us, 0 };
			return &row[i];
		}
		if (row[i].since_us < oldest->since_us)
			oldest = &row[i];
	}
	*oldest = (struct slot){ key, now_us, 0 };
	return oldest;
}

unsigned
limits_count(struct limits *l, const char *key, unsigned more, int64_t now_us)
{
	uint64_t h = map_hash(key, strlen(key)) | 1;
	unsigned n = 0;

	pthread_mutex_lock(&l->lock);
	if (more) {
		struct slot *s = find(l, h, now_us);

		n = s->n += more;
	} else {
		for (size_t i = 0; i < WAYS; i++)
			if (l->slots[h % ROWS][i].key == h &&
			    now_us - l->slots[h % ROWS][i].since_us < WINDOW_US)
				n = l->slots[h % ROWS][i].n;
	}
	pthread_mutex_unlock(&l->lock);
	return n;
}
