#include "identity/keys.h"

#include "base/mem.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>

#define OWNER "identity"
#define NAME "signing-keys"

/* --- the ring ------------------------------------------------------------------------------------------ */

static void
one_fini(struct keys_one *k)
{
	if (k->pem)
		mem_wipe(k->pem, strlen(k->pem));
	free(k->pem);
	EVP_PKEY_free(k->key);
	*k = (struct keys_one){ 0 };
}

void
keys_fini(struct keys *k)
{
	for (size_t i = 0; i < k->n; i++)
		one_fini(&k->list[i]);
	k->n = 0;
}

static void
drop(struct keys *k, size_t i)
{
	one_fini(&k->list[i]);
	k->n--;
	memmove(&k->list[i], &k->list[i + 1], (k->n - i) * sizeof(k->list[0]));
	k->list[k->n] = (struct keys_one){ 0 };
}

const struct keys_one *
keys_signing(const struct keys *k, int64_t now_s)
{
	for (size_t i = k->n; i-- > 0;)
		if (k->list[i].from_s <= now_s)
			return &k->list[i];
	return k->n ? &k->list[0] : NULL; /* a clock that was set back */
}

const struct keys_one *
keys_find(const struct keys *k, const char *kid, int64_t now_s)
{
	for (size_t i = 0; i < k->n; i++)
		if (!strcmp(k->list[i].kid, kid) &&
		    (!k->list[i].until_s || k->list[i].until_s > now_s))
			return &k->list[i];
	return NULL;
}

/* Its name says what it is: the digest of its public half. */
static void
name_make(struct keys_one *k)
{
	AUTO_ARENA a = { 0 };
	json_t *jwk = jwk_public(k->key, "");
	char *text = json_dumps(jwk, JSON_COMPACT | JSON_SORT_KEYS);

	snprintf(k->kid, sizeof(k->kid), "%s", sha256_base64url(&a, text));
	free(text);
	json_decref(jwk);
}

static char *
pem_of(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p, *ret = NULL;
	long n;

	if (bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1) {
		n = BIO_get_mem_data(bio, &p);
		ret = mem_alloc((size_t)n + 1);
		memcpy(ret, p, (size_t)n);
		mem_wipe(p, (size_t)n);
	}
	BIO_free(bio);
	return ret;
}

static EVP_PKEY *
pem_key(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	if (key && !EVP_PKEY_is_a(key, "RSA")) {
		EVP_PKEY_free(key);
		return NULL;
	}
	return key;
}

static void
add(struct keys *k, EVP_PKEY **spare, int64_t from_s)
{
	struct keys_one *one;

	if (k->n == KEYS_MAX)
		drop(k, 0);
	one = &k->list[k->n++];
	*one = (struct keys_one){ .pem = pem_of(*spare), .key = *spare, .from_s = from_s };
	*spare = NULL;
	name_make(one);
}

/* When the ring is next to get a key that signs; INT64_MAX: it has one, or needs none yet. */
static int64_t
next_from(const struct keys *k, enum keys_wish wish, int64_t now_s)
{
	const struct keys_one *last = k->n ? &k->list[k->n - 1] : NULL;

	if (!last || wish == KEYS_AT_ONCE)
		return now_s;
	if (wish == KEYS_SOON)
		return last->from_s > now_s && last->from_s <= now_s + KEYS_HASTE_S
			       ? INT64_MAX
			       : now_s + KEYS_HASTE_S;
	if (last->from_s > now_s || now_s < last->from_s + KEYS_PERIOD_S - KEYS_LEAD_S)
		return INT64_MAX;
	return MAX(last->from_s + KEYS_PERIOD_S, now_s + KEYS_LEAD_S);
}

static void
expire(struct keys *k, int64_t now_s)
{
	for (size_t i = 0; i + 1 < k->n; i++)
		if (!k->list[i].until_s && k->list[i + 1].from_s <= now_s)
			k->list[i].until_s = k->list[i + 1].from_s + KEYS_KEPT_S;
	while (k->n && k->list[0].until_s && k->list[0].until_s <= now_s)
		drop(k, 0);
}

int
keys_step(struct keys *k, enum keys_wish wish, int64_t now_s, EVP_PKEY **spare)
{
	int64_t from_s;

	expire(k, now_s);
	from_s = next_from(k, wish, now_s);
	if (from_s == INT64_MAX)
		return 0;
	if (!*spare)
		return 1;
	/* One that was to follow later, or that is no longer to be believed. */
	while (k->n && (wish == KEYS_AT_ONCE || k->list[k->n - 1].from_s > now_s))
		drop(k, k->n - 1);
	add(k, spare, from_s);
	return 0;
}

/* --- in the store ----------------------------------------------------------------------------------------- */

static json_t *
encode(const struct keys *k)
{
	json_t *list = json_array();

	for (size_t i = 0; i < k->n; i++)
		json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "pem", k->list[i].pem,
						      "from", (json_int_t)k->list[i].from_s,
						      "until", (json_int_t)k->list[i].until_s));
	return list;
}

static int
decode(const char *text, size_t n, struct keys *ret, struct err *e)
{
	json_t *list = json_loadb(text, n, 0, NULL);
	int r = 0;

	*ret = (struct keys){ 0 };
	for (size_t i = 0; i < json_array_size(list) && i < KEYS_MAX && r == 0; i++) {
		const json_t *j = json_array_get(list, i);
		const char *pem = json_string_value(json_object_get(j, "pem"));
		struct keys_one *one = &ret->list[ret->n];

		one->key = pem ? pem_key(pem) : NULL;
		if (!one->key) {
			r = err_set(e, -EBADMSG, "a signing key cannot be read");
			break;
		}
		one->pem = mem_strdup(pem);
		one->from_s = json_integer_value(json_object_get(j, "from"));
		one->until_s = json_integer_value(json_object_get(j, "until"));
		name_make(one);
		ret->n++;
	}
	json_decref(list);
	if (r < 0)
		keys_fini(ret);
	return r;
}

struct load {
	enum keys_wish wish;
	int64_t now_s;
	EVP_PKEY *spare; /* borrowed */
	bool is_write, wants;
	struct keys keys;
};

static int
ring_write(struct store_tx *tx, const struct keys *k, struct err *e)
{
	json_t *j = encode(k);
	char *text = json_dumps(j, JSON_COMPACT);
	int r = store_secret_put(tx, OWNER, NAME, text, strlen(text), e);

	mem_wipe(text, strlen(text));
	free(text);
	json_decref(j);
	return r;
}

static int
load_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct load *l = arg;
	AUTO_ARENA a = { 0 };
	const void *text;
	EVP_PKEY *spare = NULL;
	size_t n = 0, had;
	int r = store_secret_get(tx, &a, OWNER, NAME, &text, &n, e);

	keys_fini(&l->keys);
	if (r == 1)
		r = decode(text, n, &l->keys, e);
	if (r < 0)
		return r;
	had = l->keys.n;
	if (l->is_write && l->spare && EVP_PKEY_up_ref(l->spare) == 1)
		spare = l->spare;
	l->wants = keys_step(&l->keys, l->wish, l->now_s, &spare) == 1 || l->keys.n != had;
	EVP_PKEY_free(spare);
	return l->is_write ? ring_write(tx, &l->keys, e) : 0;
}

int
keys_rotate(struct store_tx *tx, enum keys_wish wish, int64_t now_s, struct err *e)
{
	struct load l = { .wish = wish, .now_s = now_s, .is_write = true };
	int r;

	l.spare = EVP_RSA_gen(2048);
	r = l.spare ? load_run(tx, &l, e) : err_set(e, -EIO, "a signing key could not be made");
	EVP_PKEY_free(l.spare);
	keys_fini(&l.keys);
	return r;
}

int
keys_load(struct store *s, enum keys_wish wish, int64_t now_s, struct keys *ret, struct err *e)
{
	struct load l = { .wish = wish, .now_s = now_s };
	int r = store_read(s, load_run, &l, e);

	if (r == 0 && l.wants) {
		l.is_write = true;
		l.spare = EVP_RSA_gen(2048); /* slow: not while the store is held */
		r = l.spare ? store_write(s, load_run, &l, e)
			    : err_set(e, -EIO, "a signing key could not be made");
		EVP_PKEY_free(l.spare);
	}
	if (r < 0) {
		keys_fini(&l.keys);
		return err_wrap(e, r, "signing keys");
	}
	*ret = l.keys;
	return 0;
}
