#include "http/pki.h"

#include "base/buf.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

enum { CA_DAYS = 3650, SERVER_DAYS = 397, NODE_DAYS = 30, RENEW_DAYS = 60 };

struct pki {
	X509 *ca, *server;
	EVP_PKEY *ca_key, *server_key;
	char *dir, *names; /* as in the servers' certificate */
	char *ca_file, *ca_pem, *server_pem, *server_key_pem;
	char ca_hash[65];
};

/* --- files ------------------------------------------------------------------------------------------ */

static char *
bio_text(BIO *b)
{
	char *p;
	long n = BIO_get_mem_data(b, &p);
	char *out = mem_alloc((size_t)n + 1);

	memcpy(out, p, (size_t)n);
	BIO_free(b);
	return out;
}

static char *
cert_text(X509 *c)
{
	BIO *b = BIO_new(BIO_s_mem());

	PEM_write_bio_X509(b, c);
	return bio_text(b);
}

static char *
key_text(EVP_PKEY *k)
{
	BIO *b = BIO_new(BIO_s_mem());

	PEM_write_bio_PrivateKey(b, k, NULL, NULL, 0, NULL, NULL);
	return bio_text(b);
}

/* Written aside and renamed, so that a crash leaves the old or the new. */
static int
file_write(const char *path, const char *text, mode_t mode, struct err *e)
{
	AUTO_FREE char *aside = mem_printf("%s.new", path);
	AUTO_CLOSE fd = -1;

	unlink(aside);
	fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0)
		return err_errno(e, "create %s", aside);
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text) || fsync(fd) < 0 ||
	    rename(aside, path) < 0)
		return err_errno(e, "write %s", path);
	return 0;
}

static X509 *
cert_read(const char *path)
{
	FILE *f = fopen(path, "re");
	X509 *c = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;

	if (f)
		fclose(f);
	return c;
}

static EVP_PKEY *
key_read(const char *path)
{
	FILE *f = fopen(path, "re");
	EVP_PKEY *k = f ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;

	if (f)
		fclose(f);
	return k;
}

static void
cert_hash(X509 *c, char out[65])
{
	uint8_t d[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	X509_digest(c, EVP_sha256(), d, &n);
	for (unsigned i = 0; i < 32; i++)
		snprintf(out + i * 2, 3, "%02x", d[i]);
}

/* --- making ------------------------------------------------------------------------------------------- */

static void
extension(X509 *c, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *x;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, c, NULL, NULL, 0);
	x = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	if (x)
		X509_add_ext(c, x, -1);
	X509_EXTENSION_free(x);
}

static X509 *
cert_make(EVP_PKEY *subject, const char *cn, int days)
{
	X509 *c = X509_new();
	X509_NAME *name = X509_get_subject_name(c);
	uint8_t serial[16];
	BIGNUM *bn;

	if (RAND_bytes(serial, sizeof(serial)) != 1)
		abort();
	serial[0] &= 0x7f;
	bn = BN_bin2bn(serial, sizeof(serial), NULL);
	BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(c));
	BN_free(bn);
	X509_set_version(c, 2);
	X509_gmtime_adj(X509_getm_notBefore(c), -300);
	X509_time_adj_ex(X509_getm_notAfter(c), days, 0, NULL);
	X509_set_pubkey(c, subject);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)cn, -1, -1, 0);
	return c;
}

static int
ca_make(struct pki *p, const char *key_file, struct err *e)
{
	AUTO_FREE char *key_pem = NULL, *cert_pem = NULL;
	char name[64];
	uint8_t r[4];
	int bad;

	p->ca_key = EVP_EC_gen("P-256");
	if (!p->ca_key || RAND_bytes(r, sizeof(r)) != 1)
		return err_set(e, -EIO, "the CA's key could not be made");
	snprintf(name, sizeof(name), "Wayleave CA %02x%02x%02x%02x", r[0], r[1], r[2], r[3]);
	p->ca = cert_make(p->ca_key, name, CA_DAYS);
	X509_set_issuer_name(p->ca, X509_get_subject_name(p->ca));
	extension(p->ca, p->ca, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
	extension(p->ca, p->ca, NID_key_usage, "critical,keyCertSign,cRLSign");
	extension(p->ca, p->ca, NID_subject_key_identifier, "hash");
	if (!X509_sign(p->ca, p->ca_key, EVP_sha256()))
		return err_set(e, -EIO, "the CA could not be signed");
	key_pem = key_text(p->ca_key);
	cert_pem = cert_text(p->ca);
	bad = file_write(key_file, key_pem, 0600, e);
	mem_wipe(key_pem, strlen(key_pem));
	return bad < 0 ? bad : file_write(p->ca_file, cert_pem, 0644, e);
}

static char *
alt_names(const char *const *names)
{
	AUTO_BUF b = { 0 };
	struct in6_addr any;

	buf_printf(&b, "DNS:localhost,IP:127.0.0.1,IP:::1");
	for (; names && *names; names++) {
		bool is_ip = inet_pton(AF_INET, *names, &any) == 1 ||
			     inet_pton(AF_INET6, *names, &any) == 1;

		buf_printf(&b, ",%s:%s", is_ip ? "IP" : "DNS", *names);
	}
	return mem_strdup(buf_str(&b));
}

static int
server_make(struct pki *p, const char *names, const char *cert_file, const char *key_file,
	    struct err *e)
{
	AUTO_FREE char *cert = NULL, *key = NULL;
	int r;

	X509_free(p->server);
	EVP_PKEY_free(p->server_key);
	p->server_key = EVP_EC_gen("P-256");
	p->server = cert_make(p->server_key, "Wayleave controller", SERVER_DAYS);
	X509_set_issuer_name(p->server, X509_get_subject_name(p->ca));
	extension(p->server, p->ca, NID_basic_constraints, "critical,CA:FALSE");
	extension(p->server, p->ca, NID_key_usage, "critical,digitalSignature");
	extension(p->server, p->ca, NID_ext_key_usage, "serverAuth");
	extension(p->server, p->ca, NID_subject_alt_name, names);
	extension(p->server, p->ca, NID_authority_key_identifier, "keyid");
	if (!X509_sign(p->server, p->ca_key, EVP_sha256()))
		return err_set(e, -EIO, "the server's certificate could not be signed");
	key = key_text(p->server_key);
	cert = cert_text(p->server);
	r = file_write(key_file, key, 0600, e);
	return r < 0 ? r : file_write(cert_file, cert, 0644, e);
}

static bool
server_is_good(const struct pki *p, const char *names_file, const char *names)
{
	AUTO_FREE char *has = mem_alloc(65536);
	FILE *f = fopen(names_file, "re");
	size_t n = f ? fread(has, 1, 65535, f) : 0;
	time_t soon = time(NULL) + RENEW_DAYS * 86400;

	if (f)
		fclose(f);
	has[n] = '\0';
	return p->server && p->server_key && !strcmp(has, names) &&
	       X509_cmp_time(X509_get0_notAfter(p->server), &soon) > 0 &&
	       X509_verify(p->server, X509_get0_pubkey(p->ca)) == 1;
}

/* The servers' certificate from its files, or a new one. */
static int
server_load(struct pki *p, struct err *e)
{
	AUTO_FREE char *cert = mem_printf("%s/server.crt", p->dir);
	AUTO_FREE char *key = mem_printf("%s/server.key", p->dir);
	AUTO_FREE char *names = mem_printf("%s/server.names", p->dir);
	int r = 0;

	X509_free(p->server);
	EVP_PKEY_free(p->server_key);
	p->server = cert_read(cert);
	p->server_key = key_read(key);
	if (server_is_good(p, names, p->names))
		return 0;
	r = server_make(p, p->names, cert, key, e);
	return r < 0 ? r : file_write(names, p->names, 0644, e);
}

int
pki_refresh(struct pki *p, bool *ret_is_new, struct err *e)
{
	int r = server_load(p, e);
	AUTO_FREE char *text = NULL;

	*ret_is_new = false;
	if (r < 0)
		return r;
	text = cert_text(p->server);
	if (p->server_pem && !strcmp(text, p->server_pem))
		return 0;
	*ret_is_new = true;
	free(p->server_pem);
	p->server_pem = TAKE(text);
	if (p->server_key_pem)
		mem_wipe(p->server_key_pem, strlen(p->server_key_pem));
	free(p->server_key_pem);
	p->server_key_pem = key_text(p->server_key);
	return 0;
}

int
pki_open(const char *dir, const char *const *names, struct pki **ret, struct err *e)
{
	AUTO(pki) p = mem_alloc(sizeof(*p));
	AUTO_FREE char *ca_key = mem_printf("%s/ca.key", dir);
	bool is_new;
	int r = 0;

	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return err_errno(e, "make %s", dir);
	p->dir = mem_strdup(dir);
	p->names = alt_names(names);
	p->ca_file = mem_printf("%s/ca.crt", dir);
	p->ca = cert_read(p->ca_file);
	p->ca_key = key_read(ca_key);
	if (!p->ca && !p->ca_key && access(ca_key, F_OK) < 0)
		r = ca_make(p, ca_key, e);
	else if (!p->ca || !p->ca_key || X509_check_private_key(p->ca, p->ca_key) != 1)
		r = err_set(e, -EBADMSG, "%s and %s do not belong together or cannot be read",
			    p->ca_file, ca_key);
	if (r == 0 && names)
		r = pki_refresh(p, &is_new, e);
	if (r < 0)
		return r;
	cert_hash(p->ca, p->ca_hash);
	p->ca_pem = cert_text(p->ca);
	*ret = TAKE(p);
	return 0;
}

void
pki_destroy(struct pki *p)
{
	if (!p)
		return;
	X509_free(p->ca);
	X509_free(p->server);
	EVP_PKEY_free(p->ca_key);
	EVP_PKEY_free(p->server_key);
	if (p->server_key_pem)
		mem_wipe(p->server_key_pem, strlen(p->server_key_pem));
	free(p->dir);
	free(p->names);
	free(p->ca_file);
	free(p->ca_pem);
	free(p->server_pem);
	free(p->server_key_pem);
	free(p);
}

const char *
pki_ca_pem(const struct pki *p)
{
	return p->ca_pem;
}

const char *
pki_ca_file(const struct pki *p)
{
	return p->ca_file;
}

const char *
pki_ca_hash(const struct pki *p)
{
	return p->ca_hash;
}

const char *
pki_server_cert_pem(const struct pki *p)
{
	return p->server_pem;
}

const char *
pki_server_key_pem(const struct pki *p)
{
	return p->server_key_pem;
}

int
pki_sign(const struct pki *p, const char *csr_pem, const char *node, char **ret_pem, char hash[65],
	 struct err *e)
{
	BIO *b = BIO_new_mem_buf(csr_pem, -1);
	X509_REQ *csr = b ? PEM_read_bio_X509_REQ(b, NULL, NULL, NULL) : NULL;
	EVP_PKEY *key = csr ? X509_REQ_get_pubkey(csr) : NULL;
	X509 *c = NULL;
	int r = 0;

	if (!key || X509_REQ_verify(csr, key) != 1 || EVP_PKEY_get_security_bits(key) < 112) {
		r = err_set(e, -EINVAL, "the certificate request is not valid");
	} else {
		c = cert_make(key, node, NODE_DAYS);
		X509_set_issuer_name(c, X509_get_subject_name(p->ca));
		extension(c, p->ca, NID_basic_constraints, "critical,CA:FALSE");
		extension(c, p->ca, NID_key_usage, "critical,digitalSignature");
		extension(c, p->ca, NID_ext_key_usage, "clientAuth");
		extension(c, p->ca, NID_authority_key_identifier, "keyid");
		if (!X509_sign(c, p->ca_key, EVP_sha256()))
			r = err_set(e, -EIO, "the certificate could not be signed");
	}
	if (r == 0) {
		cert_hash(c, hash);
		*ret_pem = cert_text(c);
	}
	X509_free(c);
	EVP_PKEY_free(key);
	X509_REQ_free(csr);
	BIO_free(b);
	return r;
}
