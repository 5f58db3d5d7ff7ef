/* The servers' certificate is renewed before it runs out, and only then. */
#include "../test.h"

#include "base/mem.h"
#include "http/pki.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

static const char *const names[] = { "api.example.net", NULL };

static char *
in(const char *dir, const char *name)
{
	return mem_printf("%s/%s", dir, name);
}

static FILE *
open_in(const char *dir, const char *name, const char *mode)
{
	AUTO_FREE char *path = in(dir, name);
	FILE *f = fopen(path, mode);

	assert_non_null(f);
	return f;
}

/* Signs the certificate that is there once more, with so many days to go. */
static void
age(const char *dir, long days)
{
	FILE *f = open_in(dir, "server.crt", "re");
	X509 *c = PEM_read_X509(f, NULL, NULL, NULL);
	EVP_PKEY *ca_key;

	fclose(f);
	f = open_in(dir, "ca.key", "re");
	ca_key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	fclose(f);
	assert_true(c && ca_key);
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(c), days * 86400));
	assert_true(X509_sign(c, ca_key, EVP_sha256()) > 0);
	f = open_in(dir, "server.crt", "we");
	assert_int_equal(PEM_write_X509(f, c), 1);
	fclose(f);
	X509_free(c);
	EVP_PKEY_free(ca_key);
}

static long
days_left(const struct pki *p)
{
	BIO *b = BIO_new_mem_buf(pki_server_cert_pem(p), -1);
	X509 *c = PEM_read_bio_X509(b, NULL, NULL, NULL);
	int days = 0, seconds;

	assert_int_equal(ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(c)), 1);
	X509_free(c);
	BIO_free(b);
	return days;
}

static void
a_certificate_is_renewed_in_time(void **state)
{
	static const char *const files[] = { "ca.crt", "ca.key", "server.crt", "server.key",
					     "server.names" };
	char dir[] = "/tmp/unit-pki-XXXXXX";
	struct pki *p = NULL;
	bool is_new = true;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(pki_open(dir, names, &p, NULL), 0);
	assert_true(days_left(p) > 300);
	assert_int_equal(pki_refresh(p, &is_new, NULL), 0);
	assert_false(is_new);
	age(dir, 100); /* another, but a good one: taken as it is */
	assert_int_equal(pki_refresh(p, &is_new, NULL), 0);
	assert_true(is_new);
	assert_in_range(days_left(p), 98, 101);
	age(dir, 5);
	assert_int_equal(pki_refresh(p, &is_new, NULL), 0);
	assert_true(is_new);
	assert_true(days_left(p) > 300);
	pki_destroy(p);
	for (size_t i = 0; i < COUNT(files); i++) {
		AUTO_FREE char *path = in(dir, files[i]);

		unlink(path);
	}
	rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_certificate_is_renewed_in_time) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
