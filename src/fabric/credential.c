#include "fabric/credential.h"

#include "base/mem.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <time.h>

int
credential_write(const char *path, const char *text, size_t n, struct err *e)
{
	AUTO_FREE char *tmp = mem_printf("%s.new", path);
	AUTO_CLOSE fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, text, n) != (ssize_t)n || fsync(fd) < 0 || rename(tmp, path) < 0)
		return err_errno(e, "%s", path);
	return 0;
}

/* ---- State ---- */

static bool
read_life(const char *path, time_t *from, time_t *until)
{
	FILE *f = fopen(path, "re");
	X509 *x = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
	struct tm a, b;
	bool ok = x && ASN1_TIME_to_tm(X509_get0_notBefore(x), &a) == 1 &&
		  ASN1_TIME_to_tm(X509_get0_notAfter(x), &b) == 1;

	if (ok) {
		*from = timegm(&a);
		*until = timegm(&b);
	}
	X509_free(x);
	if (f)
		fclose(f);
	return ok;
}

enum credential_state
credential_state(const char *cert_file, const char *key_file, int64_t utc_us)
{
	time_t now = (time_t)(utc_us / 1000000), from, until;

	if (access(key_file, R_OK) < 0 || !read_life(cert_file, &from, &until))
		return CREDENTIAL_NONE;
	if (now >= until)
		return CREDENTIAL_EXPIRED;
	return now >= from + (until - from) / 3 * 2 ? CREDENTIAL_DUE : CREDENTIAL_GOOD;
}

/* ---- Key and request ---- */

static int
bio_text(BIO *b, char **ret)
{
	char *p;
	long n = BIO_get_mem_data(b, &p);

	*ret = mem_alloc((size_t)n + 1);
	memcpy(*ret, p, (size_t)n);
	return (int)n;
}

static int
make_key(const char *path, EVP_PKEY **ret, struct err *e)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	BIO *b = BIO_new(BIO_s_mem());
	int r = -EIO, n;
	char *text;

	if (key && b && PEM_write_bio_PKCS8PrivateKey(b, key, NULL, NULL, 0, NULL, NULL)) {
		n = bio_text(b, &text);
		r = credential_write(path, text, (size_t)n, e);
		mem_wipe(text, (size_t)n);
		free(text);
	} else {
		err_set(e, r, "%s: cannot make a key", path);
	}
	BIO_free(b);
	if (r < 0)
		EVP_PKEY_free(key);
	else
		*ret = key;
	return r;
}

/* One that cannot be read is replaced: nothing can be signed with it. */
static int
get_key(const char *path, EVP_PKEY **ret, struct err *e)
{
	FILE *f = fopen(path, "re");

	*ret = f ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;
	if (f)
		fclose(f);
	return *ret ? 0 : make_key(path, ret, e);
}

int
credential_request(const char *key_file, const char *cn, char **ret, struct err *e)
{
	EVP_PKEY *key;
	X509_REQ *req;
	X509_NAME *name;
	BIO *b;
	int r = get_key(key_file, &key, e);

	if (r < 0)
		return r;
	req = X509_REQ_new();
	b = BIO_new(BIO_s_mem());
	name = req ? X509_REQ_get_subject_name(req) : NULL;
	if (name && b &&
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)cn, -1, -1, 0) &&
	    X509_REQ_set_pubkey(req, key) && X509_REQ_sign(req, key, EVP_sha256()) &&
	    PEM_write_bio_X509_REQ(b, req))
		bio_text(b, ret);
	else
		r = err_set(e, -EIO, "cannot make a certificate request");
	BIO_free(b);
	X509_REQ_free(req);
	EVP_PKEY_free(key);
	return r;
}
