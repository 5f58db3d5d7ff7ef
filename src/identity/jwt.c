#include "identity/jwt.h"

#include "base/mem.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

enum { MIN_RSA = 2048, MAX_RSA = 8192 };

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* --- base64url -------------------------------------------------------------------------------------- */

char *
base64url(struct arena *a, const void *p, size_t n)
{
	const uint8_t *b = p;
	char *out = arena_alloc(a, (n * 4 + 2) / 3 + 1);
	uint32_t acc = 0;
	unsigned bits = 0;
	size_t w = 0;

	for (size_t i = 0; i < n; i++) {
		acc = acc << 8 | b[i];
		for (bits += 8; bits >= 6; bits -= 6)
			out[w++] = digits[acc >> (bits - 6) & 63];
	}
	if (bits)
		out[w++] = digits[acc << (6 - bits) & 63];
	out[w] = '\0';
	return out;
}

uint8_t *
base64url_decode(struct arena *a, const char *s, size_t n, size_t *ret_n)
{
	uint8_t *out = arena_alloc(a, n * 3 / 4 + 1);
	uint32_t acc = 0;
	unsigned bits = 0;
	size_t w = 0;

	if (n % 4 == 1)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		const char *at = s[i] ? strchr(digits, s[i]) : NULL;

		if (!at)
			return NULL;
		acc = acc << 6 | (uint32_t)(at - digits);
		bits += 6;
		if (bits >= 8)
			out[w++] = (uint8_t)(acc >> (bits -= 8));
	}
	if (acc & ((1u << bits) - 1)) /* one text for one meaning */
		return NULL;
	*ret_n = w;
	return out;
}

char *
sha256_base64url(struct arena *a, const char *text)
{
	uint8_t d[SHA256_DIGEST_LENGTH];

	SHA256((const uint8_t *)text, strlen(text), d);
	return base64url(a, d, sizeof(d));
}

void
sha256_hex(const void *p, size_t n, char out[65])
{
	uint8_t d[SHA256_DIGEST_LENGTH];

	SHA256(p, n, d);
	for (size_t i = 0; i < sizeof(d); i++)
		snprintf(out + i * 2, 3, "%02x", d[i]);
}

/* --- reading ------------------------------------------------------------------------------------------ */

static enum jwt_alg
alg_parse(const char *name)
{
	static const char *const names[] = {
		[JWT_RS256] = "RS256", [JWT_PS256] = "PS256", [JWT_ES256] = "ES256"
	};

	for (size_t i = JWT_RS256; i < COUNT(names); i++)
		if (!strcmp(names[i], name))
			return (enum jwt_alg)i;
	return JWT_NONE;
}

static json_t *
part_object(struct arena *a, const char *s, size_t n)
{
	size_t len = 0;
	uint8_t *p = base64url_decode(a, s, n, &len);
	json_t *j = p ? json_loadb((const char *)p, len, JSON_REJECT_DUPLICATES, NULL) : NULL;

	if (json_is_object(j))
		return j;
	json_decref(j);
	return NULL;
}

static const char *
text_at(struct arena *a, const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? arena_strdup(a, s) : "";
}

static int
header_parse(struct arena *a, const char *s, size_t n, struct jwt *ret, struct err *e)
{
	json_t *h = part_object(a, s, n);

	if (!h)
		return err_set(e, -EBADMSG, "the header is not a JSON object in base64url");
	/* RFC 7515 4.1.11: what must be understood and is not, must be refused. */
	if (json_object_get(h, "crit") || json_object_get(h, "zip")) {
		json_decref(h);
		return err_set(e, -EBADMSG, "the header has extensions that are not known here");
	}
	ret->alg = alg_parse(text_at(a, h, "alg"));
	ret->kid = text_at(a, h, "kid");
	ret->x5t = text_at(a, h, "x5t");
	ret->x5t256 = text_at(a, h, "x5t#S256");
	json_decref(h);
	return 0;
}

int
jwt_parse(struct arena *a, const char *token, struct jwt *ret, struct err *e)
{
	const char *dot = strchr(token, '.'), *last = dot ? strchr(dot + 1, '.') : NULL;
	int r;

	*ret = (struct jwt){ .kid = "", .x5t = "", .x5t256 = "" };
	if (strnlen(token, JWT_MAX + 1) > JWT_MAX)
		return err_set(e, -EBADMSG, "it is longer than %d characters", JWT_MAX);
	if (!last || strchr(last + 1, '.'))
		return err_set(e, -EBADMSG, "it has not three parts");
	r = header_parse(a, token, (size_t)(dot - token), ret, e);
	if (r < 0)
		return r;
	ret->sig = base64url_decode(a, last + 1, strlen(last + 1), &ret->n_sig);
	if (!ret->sig)
		return err_set(e, -EBADMSG, "the signature is not base64url");
	ret->claims = part_object(a, dot + 1, (size_t)(last - dot - 1));
	if (!ret->claims)
		return err_set(e, -EBADMSG, "the claims are not a JSON object in base64url");
	ret->text = token;
	ret->n_text = (size_t)(last - token);
	return 0;
}

void
jwt_fini(struct jwt *t)
{
	json_decref(t->claims);
	t->claims = NULL;
}

/* RFC 7518 3.4: r and s side by side; OpenSSL wants them in DER. */
static int
signature_der(const struct jwt *t, uint8_t **ret)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r, *s;
	int n;

	*ret = NULL;
	if (!sig || t->n_sig != 64) {
		ECDSA_SIG_free(sig);
		return -1;
	}
	r = BN_bin2bn(t->sig, 32, NULL);
	s = BN_bin2bn(t->sig + 32, 32, NULL);
	ECDSA_SIG_set0(sig, r, s);
	n = i2d_ECDSA_SIG(sig, ret);
	ECDSA_SIG_free(sig);
	return n;
}

static bool
verify(const struct jwt *t, EVP_PKEY *key, const uint8_t *sig, size_t n)
{
	EVP_MD_CTX *m = EVP_MD_CTX_new();
	EVP_PKEY_CTX *p = NULL;
	bool ok = m && EVP_DigestVerifyInit(m, &p, EVP_sha256(), NULL, key) == 1;

	if (ok && t->alg == JWT_PS256)
		ok = EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PSS_PADDING) == 1 &&
		     EVP_PKEY_CTX_set_rsa_pss_saltlen(p, RSA_PSS_SALTLEN_DIGEST) == 1;
	ok = ok && EVP_DigestVerify(m, sig, n, (const uint8_t *)t->text, t->n_text) == 1;
	EVP_MD_CTX_free(m);
	return ok;
}

bool
jwt_is_signed_by(const struct jwt *t, EVP_PKEY *key)
{
	bool is_rsa = EVP_PKEY_is_a(key, "RSA"), is_ec = EVP_PKEY_is_a(key, "EC"), ok;
	uint8_t *der;
	int n;

	if (t->alg == JWT_RS256 || t->alg == JWT_PS256)
		return is_rsa && verify(t, key, t->sig, t->n_sig);
	if (t->alg != JWT_ES256 || !is_ec)
		return false;
	n = signature_der(t, &der);
	ok = n > 0 && verify(t, key, der, (size_t)n);
	OPENSSL_free(der);
	return ok;
}

/* Numbers may have a fraction (RFC 7519 2: NumericDate). */
static bool
number_at(const json_t *claims, const char *name, int64_t *ret)
{
	const json_t *v = json_object_get(claims, name);
	double d = json_is_number(v) ? json_number_value(v) : -1;

	if (d < 0 || d > 1e12)
		return false;
	*ret = (int64_t)d;
	return true;
}

enum jwt_time
jwt_time_check(const struct jwt *t, int64_t now_s, int64_t leeway_s)
{
	int64_t v;

	if (!number_at(t->claims, "exp", &v))
		return JWT_TIME_ABSENT;
	if (v + leeway_s <= now_s)
		return JWT_TIME_LATE;
	if (json_object_get(t->claims, "nbf") &&
	    (!number_at(t->claims, "nbf", &v) || v > now_s + leeway_s))
		return JWT_TIME_EARLY;
	return JWT_TIME_GOOD;
}

bool
jwt_has_audience(const struct jwt *t, const char *audience)
{
	const json_t *aud = json_object_get(t->claims, "aud");
	const char *one = json_string_value(aud);

	if (one)
		return !strcmp(one, audience);
	for (size_t i = 0; i < json_array_size(aud); i++) {
		one = json_string_value(json_array_get(aud, i));
		if (one && !strcmp(one, audience))
			return true;
	}
	return false;
}

const char *
jwt_text(const struct jwt *t, const char *claim)
{
	const char *s = json_string_value(json_object_get(t->claims, claim));

	return s ? s : "";
}

/* --- signing --------------------------------------------------------------------------------------------- */

static char *
seal(struct arena *a, EVP_PKEY *key, const char *text)
{
	EVP_MD_CTX *m = EVP_MD_CTX_new();
	size_t n = (size_t)EVP_PKEY_get_size(key);
	uint8_t *sig = arena_alloc(a, n);
	bool ok = m && EVP_DigestSignInit(m, NULL, EVP_sha256(), NULL, key) == 1 &&
		  EVP_DigestSign(m, sig, &n, (const uint8_t *)text, strlen(text)) == 1;

	EVP_MD_CTX_free(m);
	return ok ? mem_printf("%s.%s", text, base64url(a, sig, n)) : NULL;
}

char *
jwt_sign(EVP_PKEY *key, const char *kid, const json_t *claims)
{
	AUTO_ARENA a = { 0 };
	AUTO_FREE char *text = json_dumps(claims, JSON_COMPACT);
	const char *head =
		arena_printf(&a, "{\"typ\":\"JWT\",\"alg\":\"RS256\",\"kid\":\"%s\"}", kid);

	if (!text)
		return NULL;
	return seal(&a, key,
		    arena_printf(&a, "%s.%s", base64url(&a, head, strlen(head)),
				 base64url(&a, text, strlen(text))));
}

/* --- keys --------------------------------------------------------------------------------------------------- */

static EVP_PKEY *
key_from(const char *type, OSSL_PARAM_BLD *bld)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return key;
}

static EVP_PKEY *
rsa_key(struct arena *a, const json_t *jwk)
{
	const char *n = text_at(a, jwk, "n"), *e = text_at(a, jwk, "e");
	size_t n_len = 0, e_len = 0;
	const uint8_t *n_bytes = base64url_decode(a, n, strlen(n), &n_len),
		      *e_bytes = base64url_decode(a, e, strlen(e), &e_len);
	OSSL_PARAM_BLD *bld;
	BIGNUM *bn, *be;
	EVP_PKEY *key = NULL;

	if (!n_bytes || !e_bytes || n_len < MIN_RSA / 8 || n_len > MAX_RSA / 8 + 1 || !e_len ||
	    e_len > 8)
		return NULL;
	bld = OSSL_PARAM_BLD_new();
	bn = BN_bin2bn(n_bytes, (int)n_len, NULL);
	be = BN_bin2bn(e_bytes, (int)e_len, NULL);
	if (BN_num_bits(bn) >= MIN_RSA && BN_is_odd(bn) && BN_is_odd(be) && BN_num_bits(be) > 1 &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn) == 1 &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, be) == 1)
		key = key_from("RSA", bld);
	OSSL_PARAM_BLD_free(bld);
	BN_free(bn);
	BN_free(be);
	return key;
}

static EVP_PKEY *
ec_key(struct arena *a, const json_t *jwk)
{
	const char *x = text_at(a, jwk, "x"), *y = text_at(a, jwk, "y");
	size_t x_len = 0, y_len = 0;
	const uint8_t *x_bytes = base64url_decode(a, x, strlen(x), &x_len),
		      *y_bytes = base64url_decode(a, y, strlen(y), &y_len);
	uint8_t point[65] = { 4 };
	OSSL_PARAM_BLD *bld;
	EVP_PKEY *key = NULL;

	if (strcmp(text_at(a, jwk, "crv"), "P-256") != 0 || !x_bytes || !y_bytes || x_len != 32 ||
	    y_len != 32)
		return NULL;
	memcpy(point + 1, x_bytes, 32);
	memcpy(point + 33, y_bytes, 32);
	bld = OSSL_PARAM_BLD_new();
	if (OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)) ==
		    1)
		key = key_from("EC", bld); /* refuses a point off the curve */
	OSSL_PARAM_BLD_free(bld);
	return key;
}

static bool
jwk_parse(const json_t *jwk, struct jwks_key *ret)
{
	AUTO_ARENA a = { 0 };
	const char *kty = text_at(&a, jwk, "kty"), *use = text_at(&a, jwk, "use"),
		   *kid = text_at(&a, jwk, "kid"), *alg = text_at(&a, jwk, "alg");

	*ret = (struct jwks_key){ .alg = alg_parse(alg) };
	if ((*use && strcmp(use, "sig") != 0) || strlen(kid) >= sizeof(ret->kid) ||
	    (*alg && ret->alg == JWT_NONE))
		return false;
	snprintf(ret->kid, sizeof(ret->kid), "%s", kid);
	if (!strcmp(kty, "RSA"))
		ret->key = rsa_key(&a, jwk);
	else if (!strcmp(kty, "EC"))
		ret->key = ec_key(&a, jwk);
	return ret->key != NULL;
}

int
jwks_parse(const json_t *doc, struct jwks *ret, struct err *e)
{
	const json_t *keys = json_object_get(doc, "keys");

	*ret = (struct jwks){ 0 };
	if (!json_is_array(keys))
		return err_set(e, -EBADMSG, "a key set without \"keys\"");
	if (json_array_size(keys) > JWKS_MAX)
		return err_set(e, -EBADMSG, "a key set with more than %d keys", JWKS_MAX);
	for (size_t i = 0; i < json_array_size(keys); i++)
		ret->n += jwk_parse(json_array_get(keys, i), &ret->keys[ret->n]);
	return 0;
}

void
jwks_fini(struct jwks *k)
{
	for (size_t i = 0; i < k->n; i++)
		EVP_PKEY_free(k->keys[i].key);
	k->n = 0;
}

static bool
key_fits(const struct jwks_key *k, const struct jwt *t)
{
	return (!*t->kid || !strcmp(k->kid, t->kid)) && (k->alg == JWT_NONE || k->alg == t->alg);
}

bool
jwks_verifies(const struct jwks *k, const struct jwt *t)
{
	for (size_t i = 0; i < k->n; i++)
		if (key_fits(&k->keys[i], t) && jwt_is_signed_by(t, k->keys[i].key))
			return true;
	return false;
}

bool
jwks_knows(const struct jwks *k, const struct jwt *t)
{
	for (size_t i = 0; i < k->n; i++)
		if (key_fits(&k->keys[i], t))
			return true;
	return false;
}

static json_t *
number_json(EVP_PKEY *key, const char *param)
{
	AUTO_ARENA a = { 0 };
	BIGNUM *n = NULL;
	uint8_t *p;
	json_t *j = NULL;

	if (EVP_PKEY_get_bn_param(key, param, &n) == 1) {
		p = arena_alloc(&a, (size_t)BN_num_bytes(n) + 1);
		j = json_string(base64url(&a, p, (size_t)BN_bn2bin(n, p)));
	}
	BN_free(n);
	return j;
}

json_t *
jwk_public(EVP_PKEY *key, const char *kid)
{
	json_t *n = number_json(key, OSSL_PKEY_PARAM_RSA_N),
	       *e = number_json(key, OSSL_PKEY_PARAM_RSA_E);

	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "kty", "RSA", "use", "sig", "alg",
			 "RS256", "kid", kid, "n", n, "e", e);
}
