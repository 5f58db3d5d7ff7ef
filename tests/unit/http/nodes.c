/* Enrolment and renewal: no lost answer locks a node out. */
#include "../test.h"

#include "base/mem.h"
#include "http/nodes.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/sha.h>

struct fixture {
	char dir[64], db[96], key[96], pki_dir[96];
	struct store *s;
	struct pki *pki;
	struct nodes nodes;
	struct arena arena;
};

static int
seed(struct store_tx *tx, void *arg, struct err *e)
{
	const struct store_node node = { .name = "edge-a", .role = "edge" };

	return store_node_put(tx, &node, e);
}

static int
setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));
	const struct store_config sc = { .path = f->db, .master_key = f->key };

	snprintf(f->dir, sizeof(f->dir), "/tmp/unit-http-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->db, sizeof(f->db), "%s/s.db", f->dir);
	snprintf(f->key, sizeof(f->key), "%s/key", f->dir);
	snprintf(f->pki_dir, sizeof(f->pki_dir), "%s/pki", f->dir);
	assert_int_equal(store_open(&sc, &f->s, NULL), 0);
	assert_int_equal(pki_open(f->pki_dir, NULL, &f->pki, NULL), 0);
	f->nodes = (struct nodes){ f->s, f->pki };
	assert_int_equal(store_write(f->s, seed, NULL, NULL), 0);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	static const char *const tails[] = { "s.db",
					     "s.db-wal",
					     "s.db-shm",
					     "s.db.usage",
					     "s.db.usage-wal",
					     "s.db.usage-shm",
					     "key",
					     "pki/ca.crt",
					     "pki/ca.key",
					     "pki/server.crt",
					     "pki/server.key",
					     "pki/server.names" };
	struct fixture *f = *state;

	store_destroy(f->s);
	pki_destroy(f->pki);
	arena_reset(&f->arena);
	for (size_t i = 0; i < COUNT(tails); i++) {
		AUTO_FREE char *path = mem_printf("%s/%s", f->dir, tails[i]);

		unlink(path);
	}
	rmdir(f->pki_dir);
	rmdir(f->dir);
	free(f);
	return 0;
}

/* A request under a key of its own. */
static const char *
csr(struct fixture *f)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509_REQ *req = X509_REQ_new();
	BIO *b = BIO_new(BIO_s_mem());
	const char *text;
	char *p;
	long n;

	X509_REQ_set_pubkey(req, key);
	assert_true(X509_REQ_sign(req, key, EVP_sha256()) > 0);
	PEM_write_bio_X509_REQ(b, req);
	n = BIO_get_mem_data(b, &p);
	text = arena_strndup(&f->arena, p, (size_t)n);
	BIO_free(b);
	X509_REQ_free(req);
	EVP_PKEY_free(key);
	return text;
}

/* As the listener names it: SHA-256 of the DER. */
static const char *
fingerprint(struct fixture *f, const json_t *answer)
{
	const char *pem = json_string_value(json_object_get(answer, "certificate"));
	BIO *b = BIO_new_mem_buf(pem, -1);
	X509 *c = PEM_read_bio_X509(b, NULL, NULL, NULL);
	uint8_t d[SHA256_DIGEST_LENGTH];
	char *out = arena_alloc(&f->arena, 65);

	assert_int_equal(X509_digest(c, EVP_sha256(), d, NULL), 1);
	for (size_t i = 0; i < sizeof(d); i++)
		snprintf(out + i * 2, 3, "%02x", d[i]);
	X509_free(c);
	BIO_free(b);
	return out;
}

static const char *
token(struct fixture *f)
{
	const char *t = NULL;

	assert_int_equal(nodes_token(&f->nodes, &f->arena, "edge-a", &t, NULL), 0);
	return t;
}

/* Fingerprint of the certificate, or NULL when refused. */
static const char *
enrol(struct fixture *f, const char *t, const char *request)
{
	json_t *body = json_pack("{s:s, s:s, s:s}", "node", "edge-a", "token", t, "csr", request);
	json_t *out = NULL;
	struct err e;
	int r = nodes_enrol(&f->nodes, body, &out, &e);
	const char *cert = r == 0 ? fingerprint(f, out) : NULL;

	assert_true(r == 0 || r == -EPERM);
	json_decref(body);
	json_decref(out);
	return cert;
}

static const char *
renew(struct fixture *f)
{
	json_t *body = json_pack("{s:s}", "csr", csr(f)), *out = NULL;
	const char *cert;

	assert_int_equal(nodes_renew(&f->nodes, "edge-a", body, &out, NULL), 0);
	cert = fingerprint(f, out);
	json_decref(body);
	json_decref(out);
	return cert;
}

static bool
is_good(struct fixture *f, const char *cert)
{
	const char *name = NULL;
	int r = nodes_find(&f->nodes, &f->arena, cert, &name, NULL);

	assert_true(r >= 0);
	if (r)
		assert_string_equal(name, "edge-a");
	return r == 1;
}

static void
an_enrolment_whose_answer_was_lost_may_be_repeated(void **state)
{
	struct fixture *f = *state;
	const char *t = token(f), *mine = csr(f), *cert;

	assert_non_null(enrol(f, t, mine)); /* the answer is lost */
	assert_null(enrol(f, t, csr(f)));   /* nobody else may use it */
	cert = enrol(f, t, mine);
	assert_non_null(cert);
	assert_true(is_good(f, cert));
	assert_null(enrol(f, t, mine)); /* used: the token is over */
	assert_true(is_good(f, cert));
}

static void
a_renewal_whose_answer_was_lost_locks_nobody_out(void **state)
{
	struct fixture *f = *state;
	const char *first = enrol(f, token(f), csr(f)), *second, *third;

	assert_non_null(first);
	assert_true(is_good(f, first));
	second = renew(f); /* lost */
	assert_true(is_good(f, first));
	third = renew(f); /* lost again: the first still is what the node has */
	assert_true(is_good(f, first));
	assert_false(is_good(f, second));
	assert_true(is_good(f, third)); /* arrived after all: from now on only this one */
	assert_false(is_good(f, first));
}

static void
a_new_enrolment_ends_the_old_certificate_at_its_first_use(void **state)
{
	struct fixture *f = *state;
	const char *first = enrol(f, token(f), csr(f)), *again, *t;

	assert_true(is_good(f, first));
	t = token(f);
	assert_true(is_good(f, first)); /* the token waits meanwhile */
	again = enrol(f, t, csr(f));
	assert_non_null(again);
	assert_true(is_good(f, first));
	assert_true(is_good(f, again));
	assert_false(is_good(f, first));
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(an_enrolment_whose_answer_was_lost_may_be_repeated),
		CASE(a_renewal_whose_answer_was_lost_locks_nobody_out),
		CASE(a_new_enrolment_ends_the_old_certificate_at_its_first_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
