#include "../test.h"

#include "base/mem.h"
#include "fabric/credential.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <time.h>

enum { START = 1700000000, DAY = 86400 };

struct place {
	char dir[64], cert[80], key[80];
};

static int
make_place(void **state)
{
	struct place *p = mem_alloc(sizeof(*p));

	snprintf(p->dir, sizeof(p->dir), "/tmp/credential-XXXXXX");
	*state = p;
	if (!mkdtemp(p->dir))
		return -1;
	snprintf(p->cert, sizeof(p->cert), "%s/a.crt", p->dir);
	snprintf(p->key, sizeof(p->key), "%s/a.key", p->dir);
	return 0;
}

static int
remove_place(void **state)
{
	struct place *p = *state;

	unlink(p->cert);
	unlink(p->key);
	rmdir(p->dir);
	free(p);
	return 0;
}

/* What an authority makes of a request: n days from START. */
static void
sign(const struct place *p, const char *csr, int days)
{
	BIO *in = BIO_new_mem_buf(csr, -1), *out = BIO_new(BIO_s_mem());
	X509_REQ *req = PEM_read_bio_X509_REQ(in, NULL, NULL, NULL);
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	X509 *x = X509_new();
	char *text;
	long n;

	assert_non_null(req);
	assert_int_equal(X509_REQ_verify(req, X509_REQ_get0_pubkey(req)), 1);
	X509_set_pubkey(x, X509_REQ_get0_pubkey(req));
	ASN1_TIME_set(X509_getm_notBefore(x), START);
	ASN1_TIME_set(X509_getm_notAfter(x), START + days * DAY);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	PEM_write_bio_X509(out, x);
	n = BIO_get_mem_data(out, &text);
	assert_int_equal(credential_write(p->cert, text, (size_t)n, NULL), 0);
	X509_free(x);
	EVP_PKEY_free(key);
	X509_REQ_free(req);
	BIO_free(in);
	BIO_free(out);
}

static enum credential_state
state_on(const struct place *p, int day)
{
	return credential_state(p->cert, p->key, (START + (int64_t)day * DAY) * 1000000);
}

static void
test_due_at_two_thirds(void **state)
{
	struct place *p = *state;
	AUTO_FREE char *csr = NULL, *again = NULL;

	assert_int_equal(state_on(p, 0), CREDENTIAL_NONE);
	assert_int_equal(credential_request(p->key, "edge-a", &csr, NULL), 0);
	assert_int_equal(state_on(p, 0), CREDENTIAL_NONE);
	sign(p, csr, 30);
	assert_int_equal(state_on(p, 0), CREDENTIAL_GOOD);
	assert_int_equal(state_on(p, 19), CREDENTIAL_GOOD);
	assert_int_equal(state_on(p, 20), CREDENTIAL_DUE);
	assert_int_equal(state_on(p, 29), CREDENTIAL_DUE);
	assert_int_equal(state_on(p, 30), CREDENTIAL_EXPIRED);
	/* renewed, with the same key */
	assert_int_equal(credential_request(p->key, "edge-a", &again, NULL), 0);
	sign(p, again, 60);
	assert_int_equal(state_on(p, 30), CREDENTIAL_GOOD);
}

static void
test_the_key_stays_and_is_private(void **state)
{
	struct place *p = *state;
	AUTO_FREE char *csr = NULL, *again = NULL;
	char a[1000] = "", b[1000] = "";
	struct stat st;
	FILE *f;

	assert_int_equal(credential_request(p->key, "edge-a", &csr, NULL), 0);
	assert_int_equal(stat(p->key, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	f = fopen(p->key, "r");
	assert_true(fread(a, 1, sizeof(a), f) > 100);
	fclose(f);
	assert_int_equal(credential_request(p->key, "edge-a", &again, NULL), 0);
	f = fopen(p->key, "r");
	assert_true(fread(b, 1, sizeof(b), f) > 100);
	fclose(f);
	assert_memory_equal(a, b, sizeof(a));
}

static void
test_garbage_is_no_certificate(void **state)
{
	struct place *p = *state;
	AUTO_FREE char *csr = NULL;

	assert_int_equal(credential_request(p->key, "edge-a", &csr, NULL), 0);
	assert_int_equal(credential_write(p->cert, "PEM?", 4, NULL), 0);
	assert_int_equal(state_on(p, 0), CREDENTIAL_NONE);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make_place, remove_place)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_due_at_two_thirds),
		CASE(test_the_key_stays_and_is_private),
		CASE(test_garbage_is_no_certificate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
