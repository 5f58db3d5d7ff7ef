/* The network's context: the catalogue of the files at start, and the versions in the store as they
 * are asked for. A version that another has followed is kept for an hour, since requests that began
 * under it still hold it; none lives that long. */
#include "network/catalogue_version.h"

#include "base/mem.h"
#include "network/network.h"
#include "network/types.h"
#include "store/store.h"

#include <openssl/evp.h>
#include <pthread.h>

static const int64_t KEEP_US = 3600LL * 1000000;

struct version {
	char digest[CATALOGUE_DIGEST];
	struct catalogue *catalogue;
	int64_t asked_us; /* last */
	struct version *next;
};

struct network {
	struct catalogue *base; /* of the files; NULL: none */
	json_t *base_files;
	pthread_mutex_t lock;
	struct version *versions; /* under lock; newest first */
};

/* ---- files in bodies ---- */

static void
digest_of(const struct catalogue_text *texts, size_t n, char digest[CATALOGUE_DIGEST])
{
	EVP_MD_CTX *h = EVP_MD_CTX_new();
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	EVP_DigestInit_ex(h, EVP_sha256(), NULL);
	for (size_t i = 0; i < n; i++) {
		EVP_DigestUpdate(h, texts[i].file, strlen(texts[i].file) + 1);
		EVP_DigestUpdate(h, texts[i].text, texts[i].n);
		EVP_DigestUpdate(h, "", 1);
	}
	EVP_DigestFinal_ex(h, raw, &len);
	EVP_MD_CTX_free(h);
	for (unsigned i = 0; i < len && 2 * i + 2 < CATALOGUE_DIGEST; i++)
		snprintf(digest + 2 * i, 3, "%02x", raw[i]);
}

int
catalogue_from_files(const json_t *files, struct catalogue **ret, char digest[CATALOGUE_DIGEST],
		     struct err *e)
{
	struct catalogue_text texts[2 * CATALOGUE_N_FILES];
	size_t n = json_array_size(files);

	if (!n || n > COUNT(texts))
		return err_set(e, -EINVAL, "files: wants 1 to %zu files", COUNT(texts));
	for (size_t i = 0; i < n; i++) {
		const json_t *file = json_array_get(files, i),
			     *text = json_object_get(file, "text");

		texts[i].file = arm_str(file, "name", "");
		texts[i].text = json_string_value(text);
		texts[i].n = json_string_length(text);
		if (!texts[i].text || !*texts[i].file || texts[i].n > CATALOGUE_MAX_TEXT)
			return err_set(e, -EINVAL,
				       "files[%zu]: wants a name and a text of at most %d bytes", i,
				       CATALOGUE_MAX_TEXT);
	}
	digest_of(texts, n, digest);
	return catalogue_parse(texts, n, ret, e);
}

json_t *
catalogue_to_files(const struct catalogue_text *texts, size_t n)
{
	json_t *files = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(files, json_pack("{s:s, s:s%}", "name", texts[i].file, "text",
						       texts[i].text, texts[i].n));
	return files;
}

/* ---- life ---- */

int
network_open(const char *dir, struct network **ret, struct err *e)
{
	AUTO(network) n = mem_alloc(sizeof(*n));
	struct catalogue_text texts[CATALOGUE_N_FILES];
	AUTO_ARENA a = { 0 };
	int r = 0;

	pthread_mutex_init(&n->lock, NULL);
	if (dir)
		r = catalogue_read_files(&a, dir, texts, e);
	if (dir && r == 0)
		r = catalogue_parse(texts, COUNT(texts), &n->base, e);
	if (r < 0)
		return err_wrap(e, r, "catalogue %s", dir);
	if (dir)
		n->base_files = catalogue_to_files(texts, COUNT(texts));
	*ret = TAKE(n);
	return 0;
}

void
network_destroy(struct network *n)
{
	if (!n)
		return;
	while (n->versions) {
		struct version *v = n->versions;

		n->versions = v->next;
		catalogue_destroy(v->catalogue);
		free(v);
	}
	catalogue_destroy(n->base);
	json_decref(n->base_files);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

/* ---- versions ---- */

/* The newest but one and older go when nobody can hold them any more. */
static void
versions_prune(struct network *n, int64_t now_us)
{
	struct version **at = n->versions ? &n->versions->next : &n->versions;

	while (*at) {
		struct version *v = *at;

		if (v->asked_us > now_us - KEEP_US) {
			at = &v->next;
			continue;
		}
		*at = v->next;
		catalogue_destroy(v->catalogue);
		free(v);
	}
}

static const struct catalogue *
version_find(struct network *n, const char *digest, int64_t now_us)
{
	const struct catalogue *c = NULL;

	pthread_mutex_lock(&n->lock);
	for (struct version *v = n->versions; v && !c; v = v->next)
		if (!strcmp(v->digest, digest)) {
			v->asked_us = MAX(v->asked_us, now_us);
			c = v->catalogue;
		}
	pthread_mutex_unlock(&n->lock);
	return c;
}

static void
version_add(struct network *n, struct catalogue *c, const char *digest, int64_t now_us)
{
	struct version *v = mem_alloc(sizeof(*v));

	snprintf(v->digest, sizeof(v->digest), "%s", digest);
	v->catalogue = c;
	v->asked_us = now_us;
	pthread_mutex_lock(&n->lock);
	versions_prune(n, now_us);
	v->next = n->versions;
	n->versions = v;
	pthread_mutex_unlock(&n->lock);
}

/* The stored version, read and kept. */
static int
version_load(struct network *n, struct arm_snapshot *s, struct err *e)
{
	const struct arm_resource *r = arm_get(s, CATALOGUE_ID);
	char digest[CATALOGUE_DIGEST];
	struct catalogue *c = NULL;
	int ret;

	if (!r)
		return err_set(e, -ENOENT, "the store has no catalogue");
	ret = catalogue_from_files(arm_at(r->body, "properties.files"), &c, digest, e);
	if (ret == 0)
		version_add(n, c, digest, s->now_us);
	return ret;
}

/* What this program cannot read (written by a newer one) does not count here; network_start() has
 * refused to begin with such a one. */
static const struct catalogue *
version_newest(struct network *n)
{
	const struct catalogue *c;

	pthread_mutex_lock(&n->lock);
	c = n->versions ? n->versions->catalogue : n->base;
	pthread_mutex_unlock(&n->lock);
	return c;
}

const struct catalogue *
network_catalogue(const struct arm_snapshot *s)
{
	struct network *n = s->ctx;
	const struct catalogue *c;
	const char *digest;

	if (s->memo)
		return s->memo;
	if (store_fact_get(s->tx, s->arena, CATALOGUE_FACT, &digest, NULL) != 1)
		return n->base;
	c = version_find(n, digest, s->now_us);
	if (!c) {
		version_load(n, (struct arm_snapshot *)s, NULL);
		c = version_find(n, digest, s->now_us);
	}
	if (!c)
		return version_newest(n);
	((struct arm_snapshot *)s)->memo = c;
	return c;
}

/* ---- from files to the store ---- */

struct start {
	struct network *n;
	struct err *e;
};

static int
start_first(struct arm_plan *p, void *arg)
{
	struct start *st = arg;
	char digest[CATALOGUE_DIGEST];
	struct catalogue *c = NULL;
	struct arm_resource *r;
	int ret;

	if (arm_get(p->s, CATALOGUE_ID))
		return version_load(st->n, p->s, st->e);
	if (!st->n->base)
		return err_set(st->e, -ENOENT, "the store has no catalogue");
	ret = catalogue_from_files(st->n->base_files, &c, digest, st->e);
	if (ret < 0)
		return ret;
	version_add(st->n, c, digest, p->s->now_us);
	r = arm_create(p, &fabric_catalogue_type, CATALOGUE_ID, NULL);
	arm_set(r->body, "properties.files", json_deep_copy(st->n->base_files));
	return fabric_catalogue_stamp(p, r, digest, 1);
}

int
network_start(struct network *n, struct arm_engine *en, struct err *e)
{
	struct err why = { 0 };
	struct start st = { n, &why };
	int r = arm_run(en, start_first, &st, e);

	return r < 0 && *why.text ? err_set(e, r, "%s", why.text) : r;
}

struct reload {
	json_t *files;
	bool is_new;
	struct err *e;
};

static int
reload_plan(struct arm_plan *p, void *arg)
{
	struct reload *rl = arg;

	return fabric_catalogue_apply(p, rl->files, &rl->is_new, rl->e);
}

int
network_reload(struct arm_engine *en, const char *dir, bool *ret_is_new, struct err *e)
{
	struct catalogue_text texts[CATALOGUE_N_FILES];
	AUTO_ARENA a = { 0 };
	struct err why = { 0 };
	int r = catalogue_read_files(&a, dir, texts, e);
	struct reload rl = { .e = &why };

	if (r < 0)
		return r;
	rl.files = catalogue_to_files(texts, COUNT(texts));
	r = arm_run(en, reload_plan, &rl, e);
	json_decref(rl.files);
	*ret_is_new = r == 0 && rl.is_new;
	return r < 0 && *why.text ? err_set(e, r, "%s", why.text) : r;
}
