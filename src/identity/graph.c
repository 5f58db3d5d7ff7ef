/* The part of Microsoft Graph that `az role assignment` by name and `az ad user|group|sp|app` need:
 * the caller's own tenant, read by everybody in it, written by who may.
 *
 * An application and its service principal are one here, with one id: applications/ID and
 * servicePrincipals/ID name the same. */
#include "identity/rest.h"

#include "base/mono.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <strings.h>

enum { PAGE = 100, MAX_PAGE = 999, MAX_CREDENTIALS = 20, MAX_IDS = 1000 };

struct kind {
	const char *path, *kind, *odata, *resource;
};
static const struct kind kinds[] = {
	{ "users", "User", "#microsoft.graph.user", "users" },
	{ "groups", "Group", "#microsoft.graph.group", "groups" },
	{ "servicePrincipals", "ServicePrincipal", "#microsoft.graph.servicePrincipal",
	  "servicePrincipals" },
	{ "applications", "ServicePrincipal", "#microsoft.graph.application", "servicePrincipals" },
	{ "directoryObjects", NULL, NULL, NULL },
};

static const struct kind *
kind_of(const char *path)
{
	for (size_t i = 0; i < COUNT(kinds); i++)
		if (!strcasecmp(kinds[i].path, path))
			return &kinds[i];
	return NULL;
}

static bool
same(const char *a, const char *b)
{
	return !strcasecmp(a, b);
}

static int
missing(struct rest *c, const char *what)
{
	return arm_refuse(
		&c->error, 404, "Request_ResourceNotFound",
		"Resource '%.200s' does not exist or one of its queried reference-property "
		"objects are not present.",
		what);
}

static int
bad(struct rest *c, const char *target, const char *text)
{
	return arm_refuse_at(&c->error, 400, "Request_BadRequest", target, "%s: %s", target, text);
}

/* verb: "write", "delete" */
static int
need(struct rest *c, const char *resource, const char *verb)
{
	const char *action = arena_printf(c->a, "Wayleave.Directory/%s/%s", resource, verb);

	if (rbac_may(c->id, c->tx, c->a, &c->caller, action, directory_scope(c->a, c->tenant)))
		return 0;
	return arm_refuse(&c->error, 403, "Authorization_RequestDenied",
			  "Insufficient privileges to complete the operation: '%s' over the "
			  "tenant's root management group.",
			  action);
}

/* --- shown ------------------------------------------------------------------------------------------ */

static const char *
time_text(struct arena *a, int64_t us)
{
	char text[32];

	return us ? arena_strdup(a, utc_format(us, text)) : NULL;
}

static json_t *
credentials_json(struct rest *c, const char *oid, enum store_credential_kind kind)
{
	struct store_credential *all;
	json_t *out = json_array();
	size_t n = 0;

	if (store_credential_of(c->tx, c->a, oid, kind, &all, &n, NULL) < 0)
		return out;
	for (size_t i = 0; i < n; i++) {
		const struct store_credential *k = &all[i];

		json_array_append_new(
			out, kind == STORE_CREDENTIAL_FEDERATED
				     ? json_pack("{s:s, s:s, s:s, s:s, s:[s]}", "id", k->id, "name",
						 k->name, "issuer", k->issuer, "subject",
						 k->subject, "audiences", k->audience)
			     : kind == STORE_CREDENTIAL_SECRET
				     ? json_pack("{s:s, s:s, s:s?, s:s?, s:s, s:n}", "keyId", k->id,
						 "displayName", k->name, "startDateTime",
						 time_text(c->a, k->start_us), "endDateTime",
						 time_text(c->a, k->end_us), "hint", k->hint,
						 "secretText")
				     : json_pack("{s:s, s:s, s:s?, s:s?, s:s, s:s, s:s}", "keyId",
						 k->id, "displayName", k->name, "startDateTime",
						 time_text(c->a, k->start_us), "endDateTime",
						 time_text(c->a, k->end_us), "customKeyIdentifier",
						 k->sha1, "type", "AsymmetricX509Cert", "usage",
						 "Verify"));
	}
	return out;
}

static json_t *
object_json(struct rest *c, const struct store_principal *p, const char *as)
{
	json_t *extra = *p->body ? json_loads(p->body, 0, NULL) : NULL, *j;

	j = json_pack("{s:s, s:s, s:b, s:s?}", "id", p->oid, "displayName", p->name,
		      "accountEnabled", !p->is_disabled, "createdDateTime",
		      time_text(c->a, p->created_us));
	if (same(p->kind, "User")) {
		json_object_set_new(j, "userPrincipalName", json_string(p->upn));
		json_object_set_new(j, "mail", json_string(arm_str(extra, "mail", p->upn)));
		json_object_set_new(j, "givenName",
				    json_string(arm_str(extra, "name.givenName", "")));
		json_object_set_new(j, "surname",
				    json_string(arm_str(extra, "name.familyName", "")));
		json_object_set_new(j, "userType", json_string("Member"));
	} else if (same(p->kind, "Group")) {
		json_object_del(j, "accountEnabled");
		json_object_set_new(j, "description",
				    json_string(arm_str(extra, "description", "")));
		json_object_set_new(j, "mailNickname",
				    json_string(arm_str(extra, "mailNickname", p->name)));
		json_object_set_new(j, "securityEnabled", json_true());
		json_object_set_new(j, "mailEnabled", json_false());
		json_object_set_new(j, "groupTypes", json_array());
	} else {
		json_object_set_new(j, "appId", json_string(p->client_id));
		json_object_set_new(j, "appDisplayName", json_string(p->name));
		json_object_set_new(j, "appOwnerOrganizationId", json_string(p->tenant));
		json_object_set_new(j, "servicePrincipalType", json_string("Application"));
		json_object_set_new(j, "servicePrincipalNames", json_pack("[s]", p->client_id));
		if (as && same(as, "applications"))
			json_object_set_new(j, "identifierUris", json_array());
	}
	json_decref(extra);
	return j;
}

static json_t *
typed_json(struct rest *c, const struct store_principal *p)
{
	json_t *j = object_json(c, p, NULL);

	for (size_t i = 0; i < COUNT(kinds); i++)
		if (kinds[i].kind && same(kinds[i].kind, p->kind)) {
			json_object_set_new(j, "@odata.type", json_string(kinds[i].odata));
			break;
		}
	return j;
}

/* With what is shown of one only. */
static void
credentials_add(struct rest *c, const struct store_principal *p, json_t *j)
{
	if (!same(p->kind, "ServicePrincipal"))
		return;
	json_object_set_new(j, "passwordCredentials",
			    credentials_json(c, p->oid, STORE_CREDENTIAL_SECRET));
	json_object_set_new(j, "keyCredentials",
			    credentials_json(c, p->oid, STORE_CREDENTIAL_CERTIFICATE));
}

static json_t *
list_json(struct rest *c, const char *what, json_t *value)
{
	return json_pack("{s:s, s:o}", "@odata.context",
			 arena_printf(c->a, "%s/$metadata#%s", c->base, what), "value", value);
}

/* --- lists ------------------------------------------------------------------------------------------- */

/* Terms joined by "and": FIELD eq 'VALUE', startswith(FIELD,'VALUE'), FIELD/any(x:x eq 'VALUE'). */
enum { MAX_TERMS = 8 };
struct term {
	const char *field, *value;
	bool is_prefix;
};
struct terms {
	struct term all[MAX_TERMS];
	size_t n;
};

/* Moves *p over what comes next if it is this. */
static bool
over(const char **p, const char *what)
{
	size_t n = strlen(what);

	*p += strspn(*p, " ");
	if (strncasecmp(*p, what, n) != 0)
		return false;
	*p += n;
	return true;
}

static bool
quoted(struct arena *a, const char **p, const char **ret)
{
	char *out = arena_alloc(a, strlen(*p) + 1);
	size_t n = 0;

	*ret = out;
	if (!over(p, "'"))
		return false;
	for (; **p; (*p)++) {
		if (**p == '\'' && (*p)[1] != '\'') {
			(*p)++;
			return true;
		}
		*p += **p == '\'';
		out[n++] = **p;
	}
	return false;
}

static bool
named(struct arena *a, const char **p, const char **ret)
{
	size_t n;

	*p += strspn(*p, " ");
	n = strspn(*p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
	*ret = arena_strndup(a, *p, n);
	*p += n;
	return n > 0;
}

static bool
term_parse(struct arena *a, const char **p, struct term *t)
{
	const char *one, *other;

	t->is_prefix = over(p, "startswith(");
	if (!named(a, p, &t->field))
		return false;
	if (t->is_prefix)
		return over(p, ",") && quoted(a, p, &t->value) && over(p, ")");
	if (over(p, "/any("))
		return named(a, p, &one) && over(p, ":") && named(a, p, &other) &&
		       !strcmp(one, other) && over(p, "eq ") && quoted(a, p, &t->value) &&
		       over(p, ")");
	return over(p, "eq ") && quoted(a, p, &t->value);
}

static int
filter_parse(struct rest *c, const char *text, struct terms *ret)
{
	const char *p = text;

	ret->n = 0;
	do {
		if (ret->n == MAX_TERMS || !term_parse(c->a, &p, &ret->all[ret->n++]))
			return bad(c, "$filter",
				   "only FIELD eq 'VALUE', startswith(FIELD,'VALUE') and "
				   "FIELD/any(x:x eq 'VALUE'), joined by and, are known");
	} while (over(&p, "and "));
	return p[strspn(p, " ")] ? bad(c, "$filter", "there is more than it should have") : 0;
}

static bool
term_holds(const struct term *t, const json_t *object)
{
	const json_t *v = json_object_get(object, t->field);
	size_t n = strlen(t->value);

	if (json_is_array(v))
		v = json_array_get(v, 0);
	return json_is_string(v) && (t->is_prefix ? !strncasecmp(json_string_value(v), t->value, n)
						  : same(json_string_value(v), t->value));
}

/* Those that an index finds for one term; -ENOTSUP: none does. */
static int
find(struct rest *c, const struct kind *k, const struct term *t, struct store_principal **ret,
     size_t *n)
{
	struct store_principal *one = NEW(c->a, struct store_principal);
	bool is_app = same(k->kind, "ServicePrincipal");
	const char *field = t->field;
	int r;

	*ret = one;
	*n = 0;
	if (same(field, "displayName") && t->is_prefix)
		return store_principal_by_prefix(c->tx, c->a, c->tenant, k->kind, t->value,
						 MAX_PAGE, ret, n, NULL);
	if (same(field, "displayName"))
		return store_principal_by_name(c->tx, c->a, c->tenant, k->kind, t->value, MAX_PAGE,
					       ret, n, NULL);
	if (t->is_prefix)
		return -ENOTSUP;
	if (same(k->kind, "User") && (same(field, "userPrincipalName") || same(field, "mail")))
		r = store_principal_by_upn(c->tx, c->a, c->tenant, t->value, one, NULL);
	else if (is_app && (same(field, "appId") || same(field, "servicePrincipalNames")))
		r = store_principal_by_client(c->tx, c->a, arm_id_fold(c->a, t->value) + 1, one,
					      NULL);
	else if (is_app && same(field, "identifierUris"))
		r = 0; /* applications have none here */
	else if (same(field, "id"))
		r = store_principal_get(c->tx, c->a, arm_id_fold(c->a, t->value) + 1, one, NULL);
	else
		return -ENOTSUP;
	*n = r == 1 && same(one->tenant, c->tenant) && same(one->kind, k->kind);
	return MIN(r, 0);
}

static int
list_filtered(struct rest *c, const struct kind *k, const char *text)
{
	struct store_principal *all = NULL;
	struct terms terms;
	size_t n = 0, by = 0;
	json_t *out;
	int r = filter_parse(c, text, &terms), got = -ENOTSUP;

	if (r < 0)
		return r;
	while (by < terms.n && (got = find(c, k, &terms.all[by], &all, &n)) == -ENOTSUP)
		by++;
	if (got == -ENOTSUP)
		return bad(c, "$filter", "it names no field that objects are found by");
	if (got < 0)
		return got;
	out = json_array();
	for (size_t i = 0; i < n; i++) {
		json_t *one = object_json(c, &all[i], k->path);
		bool holds = true;

		for (size_t t = 0; t < terms.n; t++)
			holds &= t == by || term_holds(&terms.all[t], one);
		if (holds)
			json_array_append(out, one);
		json_decref(one);
	}
	c->result = list_json(c, k->path, out);
	return 0;
}

static int
list(struct rest *c, const struct kind *k)
{
	const char *query = c->rq->query ? c->rq->query : "";
	const char *filter = arm_query(c->a, query, "$filter");
	const char *after = arm_query(c->a, query, "$skiptoken");
	struct store_principal *all;
	json_t *out;
	int64_t top;
	size_t n = 0;
	int r = rest_number(c, "$top", PAGE, MAX_PAGE, &top);

	if (r < 0)
		return r;
	if (filter && *filter)
		return list_filtered(c, k, filter);
	top = top ? top : 1;
	r = store_principal_page(c->tx, c->a, c->tenant, k->kind, after, 0, (size_t)top, &all, &n,
				 NULL);
	if (r < 0)
		return r;
	out = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(out, object_json(c, &all[i], k->path));
	c->result = list_json(c, k->path, out);
	if (n == (size_t)top)
		json_object_set_new(c->result, "@odata.nextLink",
				    json_string(arena_printf(c->a, "%s/%s?$top=%d&$skiptoken=%s",
							     c->base, k->path, (int)top,
							     all[n - 1].oid)));
	return 0;
}

/* --- credentials --------------------------------------------------------------------------------------- */

static int
time_read(struct rest *c, const json_t *in, const char *name, int64_t def, int64_t *ret)
{
	const char *text = arm_str(in, name, NULL);
	struct tm tm = { 0 };
	const char *end;

	*ret = def;
	if (!text)
		return 0;
	end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!end)
		return bad(c, name, "it must be a time, YYYY-MM-DDThh:mm:ssZ");
	if (*end == '.')
		end += 1 + strspn(end + 1, "0123456789");
	if (*end && strcmp(end, "Z") != 0 && strcmp(end, "+00:00") != 0)
		return bad(c, name, "it must be a time in UTC");
	*ret = (int64_t)timegm(&tm) * 1000000;
	return 0;
}

static int
count_check(struct rest *c, const char *oid, enum store_credential_kind kind)
{
	struct store_credential *all;
	size_t n = 0;
	int r = store_credential_of(c->tx, c->a, oid, kind, &all, &n, NULL);

	if (r == 0 && n >= MAX_CREDENTIALS)
		return arm_refuse(&c->error, 400, "Directory_QuotaExceeded",
				  "The application has %d credentials of this kind, which is the "
				  "limit.",
				  MAX_CREDENTIALS);
	return r;
}

static int
password_add(struct rest *c, const struct store_principal *p)
{
	const json_t *in = json_object_get(c->body, "passwordCredential");
	const char *name = arm_str(in, "displayName", ""), *secret;
	int64_t now = utc_now_us(), start, end;
	struct store_credential k;
	int r = count_check(c, p->oid, STORE_CREDENTIAL_SECRET);

	if (r == 0)
		r = time_read(c, in, "startDateTime", now, &start);
	if (r == 0)
		r = time_read(c, in, "endDateTime", now + 730LL * 86400 * 1000000, &end);
	if (r == 0 && end <= start)
		r = bad(c, "endDateTime", "it must be later than startDateTime");
	if (r == 0 && strlen(name) > DIRECTORY_MAX_NAME)
		r = bad(c, "displayName", "it must be at most 256 characters");
	/* Whose clock is a bit ahead means now. */
	if (r == 0 && start > now && start - now < 300LL * 1000000)
		start = now;
	if (r == 0)
		r = secret_add(c->tx, c->a, p->oid, name, start, end, &secret, &k, NULL);
	if (r == 0)
		c->result = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "keyId", k.id,
				      "displayName", name, "startDateTime", time_text(c->a, start),
				      "endDateTime", time_text(c->a, end), "hint", k.hint,
				      "secretText", secret);
	return r;
}

static int
credential_drop(struct rest *c, const struct store_principal *p, const char *id)
{
	c->status = 204;
	return store_credential_delete(c->tx, p->oid, arm_id_fold(c->a, id) + 1, NULL);
}

static const char *
hex(struct arena *a, const uint8_t *d, size_t n)
{
	char *out = arena_alloc(a, n * 2 + 1);

	for (size_t i = 0; i < n; i++)
		snprintf(out + i * 2, 3, "%02x", d[i]);
	return out;
}

static int64_t
asn1_us(const ASN1_TIME *t)
{
	struct tm tm = { 0 };

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) * 1000000 : 0;
}

/* key: base64 of a certificate's DER form, or of its PEM form (az sends the latter). */
static X509 *
certificate_parse(struct arena *a, const char *key)
{
	size_t n = strlen(key);
	uint8_t *raw = arena_alloc(a, n + 4);
	const uint8_t *p = raw;
	int len = n && n % 4 == 0 && n < 32768 ? EVP_DecodeBlock(raw, (const uint8_t *)key, (int)n)
					       : -1;
	X509 *cert;
	BIO *bio;

	if (len <= 0)
		return NULL;
	cert = d2i_X509(NULL, &p, len);
	if (cert || !(bio = BIO_new_mem_buf(raw, len)))
		return cert;
	cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	return cert;
}

static const char *
certificate_pem(struct arena *a, X509 *cert)
{
	BIO *bio = BIO_new(BIO_s_mem());
	const char *text = NULL;
	char *p;
	long n;

	if (bio && PEM_write_bio_X509(bio, cert) == 1 && (n = BIO_get_mem_data(bio, &p)) > 0)
		text = arena_strndup(a, p, (size_t)n);
	BIO_free(bio);
	return text;
}

static int
certificate_put(struct rest *c, const struct store_principal *p, const json_t *in)
{
	X509 *cert = certificate_parse(c->a, arm_str(in, "key", ""));
	struct store_credential k = { .oid = p->oid,
				      .kind = STORE_CREDENTIAL_CERTIFICATE,
				      .name = arm_str(in, "displayName", "") };
	uint8_t d[EVP_MAX_MD_SIZE];
	char id[37];
	unsigned n = 0;
	int r;

	if (!cert)
		return bad(c, "keyCredentials.key", "it must be a certificate in base64");
	guid_make(id);
	k.id = id;
	if (X509_digest(cert, EVP_sha1(), d, &n) == 1)
		k.sha1 = hex(c->a, d, n);
	if (X509_digest(cert, EVP_sha256(), d, &n) == 1)
		k.sha256 = hex(c->a, d, n);
	k.pem = certificate_pem(c->a, cert);
	k.start_us = asn1_us(X509_get0_notBefore(cert));
	k.end_us = asn1_us(X509_get0_notAfter(cert));
	X509_free(cert);
	r = k.sha1 && k.sha256 && k.pem ? 0 : bad(c, "keyCredentials.key", "it cannot be read");
	return r < 0 ? r : store_credential_put(c->tx, &k, NULL);
}

/* The list as it is to be: those named by keyId stay, those with a key are new. */
static int
certificates_set(struct rest *c, const struct store_principal *p, const json_t *list)
{
	struct store_credential *old;
	json_t *one;
	size_t n = 0, i;
	int r = store_credential_of(c->tx, c->a, p->oid, STORE_CREDENTIAL_CERTIFICATE, &old, &n,
				    NULL);

	if (r == 0 && json_array_size(list) > MAX_CREDENTIALS)
		return bad(c, "keyCredentials", "there may be at most 20");
	for (size_t k = 0; k < n && r == 0; k++) {
		bool stays = false;

		json_array_foreach((json_t *)list, i, one)
			stays |= !arm_str(one, "key", NULL) &&
				 same(arm_str(one, "keyId", ""), old[k].id);
		if (!stays)
			r = store_credential_delete(c->tx, p->oid, old[k].id, NULL);
	}
	json_array_foreach((json_t *)list, i, one)
		if (r == 0 && arm_str(one, "key", NULL))
			r = certificate_put(c, p, one);
	return r;
}

static int
federated_put(struct rest *c, const struct store_principal *p)
{
	const char *issuer = arm_str(c->body, "issuer", ""),
		   *subject = arm_str(c->body, "subject", "");
	const json_t *list = json_object_get(c->body, "audiences");
	const char *audience = json_string_value(json_array_get(list, 0));
	char id[37];
	struct store_credential k = { .oid = p->oid,
				      .kind = STORE_CREDENTIAL_FEDERATED,
				      .name = arm_str(c->body, "name", ""),
				      .issuer = issuer,
				      .subject = subject,
				      .audience = audience };
	int r = count_check(c, p->oid, STORE_CREDENTIAL_FEDERATED);

	if (r < 0)
		return r;
	if (strncmp(issuer, "https://", 8) != 0 || strlen(issuer) > 600)
		return bad(c, "issuer", "it must be a URL, https://...");
	if (!*subject || strlen(subject) > 600)
		return bad(c, "subject", "it must be 1 to 600 characters");
	if (!audience || json_array_size(list) != 1 || !*audience || strlen(audience) > 600)
		return bad(c, "audiences", "it must be a list of one text");
	if (!directory_name_is_valid(k.name) || strlen(k.name) > 120)
		return bad(c, "name", "it must be 1 to 120 characters");
	guid_make(id);
	k.id = id;
	r = store_credential_put(c->tx, &k, NULL);
	c->status = 201;
	c->result = json_pack("{s:s, s:s, s:s, s:s, s:O}", "id", id, "name", k.name, "issuer",
			      issuer, "subject", subject, "audiences", list);
	return r;
}

/* --- making and changing --------------------------------------------------------------------------------- */

static const char *
body_text(struct arena *a, const struct store_principal *p, const json_t *in)
{
	json_t *extra = p->body && *p->body ? json_loads(p->body, 0, NULL) : json_object();
	static const char *const map[][2] = { { "givenName", "name.givenName" },
					      { "surname", "name.familyName" },
					      { "mail", "mail" },
					      { "mailNickname", "mailNickname" },
					      { "description", "description" } };
	const char *ret;
	char *text;

	for (size_t i = 0; i < COUNT(map); i++) {
		const json_t *v = json_object_get(in, map[i][0]);

		if (json_is_string(v) && json_string_length(v) <= 1024)
			arm_set(extra, map[i][1], json_deep_copy(v));
		else if (json_is_null(v))
			arm_set(extra, map[i][1], NULL);
	}
	text = json_dumps(extra, JSON_COMPACT);
	ret = arena_strdup(a, text);
	free(text);
	json_decref(extra);
	return ret;
}

/* Fields of a POST or PATCH into p. */
static int
fields_read(struct rest *c, struct store_principal *p)
{
	const char *name = arm_str(c->body, "displayName", p->name ? p->name : "");
	const char *upn = arm_str(c->body, "userPrincipalName", p->upn ? p->upn : "");

	if (!directory_name_is_valid(name))
		return bad(c, "displayName", "it must be 1 to 256 characters");
	if (same(p->kind, "User") && !directory_upn_is_valid(upn))
		return bad(c, "userPrincipalName", "it must be a name with one '@'");
	p->name = name;
	if (same(p->kind, "User"))
		p->upn = upn;
	p->is_disabled = !arm_bool(c->body, "accountEnabled", !p->is_disabled);
	p->body = body_text(c->a, p, c->body);
	p->changed_us = utc_now_us();
	return 0;
}

static int
taken(struct rest *c, int r)
{
	return r == -EEXIST ? arm_refuse(&c->error, 409, "Request_MultipleObjectsWithSameKeyValue",
					 "Another object with the same userPrincipalName already "
					 "exists.")
			    : r;
}

/* POST servicePrincipals {"appId"}: of an application made before, which has it already. */
static int
service_principal_of(struct rest *c, const char *app)
{
	struct store_principal p;
	int r = store_principal_by_client(c->tx, c->a, arm_id_fold(c->a, app) + 1, &p, NULL);

	if (r < 0)
		return r;
	if (r == 0 || !same(p.tenant, c->tenant))
		return bad(c, "appId", "there is no such application in this tenant");
	c->status = 201;
	c->result = object_json(c, &p, NULL);
	return 0;
}

static int
create(struct rest *c, const struct kind *k)
{
	struct store_principal p = { .tenant = c->tenant, .kind = k->kind };
	const char *app = arm_str(c->body, "appId", NULL);
	char client[37];
	int r = need(c, k->resource, "write");

	if (r == 0 && !c->body)
		r = bad(c, "body", "it is missing");
	if (r == 0 && app && same(k->path, "servicePrincipals"))
		return service_principal_of(c, app);
	if (r == 0)
		r = fields_read(c, &p);
	if (r < 0)
		return r;
	guid_make(client);
	if (same(k->kind, "ServicePrincipal"))
		p.client_id = client;
	r = taken(c, directory_principal_new(c->tx, c->a, &p, NULL));
	if (r == 0 && json_is_array(json_object_get(c->body, "keyCredentials")))
		r = certificates_set(c, &p, json_object_get(c->body, "keyCredentials"));
	if (r < 0)
		return r;
	c->status = 201;
	c->result = object_json(c, &p, k->path);
	credentials_add(c, &p, c->result);
	return 0;
}

static int
update(struct rest *c, const struct kind *k, struct store_principal *p)
{
	const json_t *keys = json_object_get(c->body, "keyCredentials");
	int r = need(c, k->resource, "write");

	if (r == 0)
		r = fields_read(c, p);
	if (r == 0)
		r = taken(c, store_principal_put(c->tx, p, NULL));
	if (r == 0 && json_is_array(keys) && same(p->kind, "ServicePrincipal"))
		r = certificates_set(c, p, keys);
	c->status = 204;
	return r;
}

/* --- groups -------------------------------------------------------------------------------------------------- */

static int
objects_json(struct rest *c, const char *const *ids, size_t n)
{
	json_t *out = json_array();

	for (size_t i = 0; i < n; i++) {
		struct store_principal p;

		if (store_principal_get(c->tx, c->a, ids[i], &p, NULL) == 1)
			json_array_append_new(out, typed_json(c, &p));
	}
	c->result = list_json(c, "directoryObjects", out);
	return 0;
}

static int
members(struct rest *c, const struct store_principal *g)
{
	const char *after = arm_query(c->a, c->rq->query ? c->rq->query : "", "$skiptoken");
	const char *ref = json_string_value(json_object_get(c->body, "@odata.id")), **ids;
	bool is_ref = c->n_seg > 3 && same(c->seg[c->n_seg - 1], "$ref");
	struct store_principal m;
	size_t n = 0;
	int r;

	if (c->is_get && c->n_seg == 3) {
		r = store_member_list(c->tx, c->a, g->oid, after, PAGE, &ids, &n, NULL);
		if (r == 0)
			r = objects_json(c, ids, n);
		if (r == 0 && n == PAGE)
			json_object_set_new(
				c->result, "@odata.nextLink",
				json_string(arena_printf(c->a, "%s/groups/%s/members?$skiptoken=%s",
							 c->base, g->oid, ids[n - 1])));
		return r;
	}
	if (!is_ref)
		return arm_refuse(&c->error, 405, "MethodNotAllowed", "This cannot be done here.");
	r = need(c, "groups", "write");
	if (r < 0)
		return r;
	c->status = 204;
	if (rest_is(c, "DELETE") && c->n_seg == 5)
		return store_member_drop(c->tx, g->oid, arm_id_fold(c->a, c->seg[3]) + 1, NULL);
	if (!rest_is(c, "POST") || c->n_seg != 4)
		return arm_refuse(&c->error, 405, "MethodNotAllowed", "This cannot be done here.");
	ref = last_segment(ref ? ref : "");
	r = directory_principal(c->tx, c->a, c->tenant, NULL, ref, &m, NULL);
	if (r < 0)
		return r;
	if (r == 0)
		return missing(c, ref);
	if (!strcmp(m.oid, g->oid))
		return bad(c, "@odata.id", "a group cannot be its own member");
	return store_member_add(c->tx, g->oid, m.oid, NULL);
}

static int
groups_of(struct rest *c, const struct store_principal *p, const char *what)
{
	const json_t *asked = json_object_get(c->body, "groupIds");
	const char **ids;
	json_t *out;
	size_t n = 0;
	int r = store_group_of(c->tx, c->a, p->oid, !same(what, "memberOf"), &ids, &n, NULL);

	if (r < 0)
		return r;
	if (same(what, "memberOf") || same(what, "transitiveMemberOf"))
		return objects_json(c, ids, n);
	out = json_array();
	for (size_t i = 0; i < n; i++) {
		bool is_asked = same(what, "getMemberGroups");
		json_t *one;
		size_t k;

		json_array_foreach((json_t *)asked, k, one)
			is_asked |= json_is_string(one) && same(json_string_value(one), ids[i]);
		if (is_asked)
			json_array_append_new(out, json_string(ids[i]));
	}
	c->result = list_json(c, "Collection(Edm.String)", out);
	return 0;
}

/* --- by ids ---------------------------------------------------------------------------------------------------- */

/* A partner's principals are shown to its customers, and theirs to it: each holds roles of the
 * other's and must be told apart by name. */
static bool
is_related(struct rest *c, const char *tenant)
{
	struct store_tenant own, other;

	return store_tenant_get(c->tx, c->a, c->tenant, &own, NULL) == 1 &&
	       store_tenant_get(c->tx, c->a, tenant, &other, NULL) == 1 &&
	       (same(own.partner, tenant) || same(other.partner, c->tenant));
}

static int
by_ids(struct rest *c)
{
	const json_t *ids = json_object_get(c->body, "ids");
	json_t *out, *one;
	size_t i;

	if (!json_is_array(ids) || json_array_size(ids) > MAX_IDS)
		return bad(c, "ids", "it must be a list of at most 1000 object ids");
	out = json_array();
	json_array_foreach((json_t *)ids, i, one) {
		const char *id = json_string_value(one) ? json_string_value(one) : "";
		struct store_principal p;

		if (!is_guid(id) ||
		    store_principal_get(c->tx, c->a, arm_id_fold(c->a, id) + 1, &p, NULL) != 1)
			continue;
		if (same(p.tenant, c->tenant))
			json_array_append_new(out, typed_json(c, &p));
		else if (is_related(c, p.tenant))
			json_array_append_new(
				out,
				json_pack("{s:s, s:s, s:s, s:s, s:s}", "@odata.type",
					  "#microsoft.graph.directoryObjectPartnerReference", "id",
					  p.oid, "displayName", p.name, "externalPartnerTenantId",
					  p.tenant, "objectType", p.kind));
	}
	c->result = list_json(c, "directoryObjects", out);
	return 0;
}

/* --- the way of a request --------------------------------------------------------------------------------------- */

static int
object_get(struct rest *c, const struct kind *k, const char *id, struct store_principal *ret)
{
	int r;

	/* applications(appId='X'), servicePrincipals(appId='X') are not sent by az. */
	if (k->kind && same(k->kind, "User") && strchr(id, '@'))
		r = store_principal_by_upn(c->tx, c->a, c->tenant, id, ret, NULL);
	else
		r = directory_principal(c->tx, c->a, c->tenant, k->kind, id, ret, NULL);
	return r < 0 ? r : r == 0 ? missing(c, id) : 0;
}

static int
object_part(struct rest *c, const struct kind *k, struct store_principal *p)
{
	const char *what = c->seg[2];
	bool is_sp = same(p->kind, "ServicePrincipal"), is_post = rest_is(c, "POST");
	int r;

	if (same(what, "members") && same(p->kind, "Group"))
		return members(c, p);
	if ((c->is_get && (same(what, "memberOf") || same(what, "transitiveMemberOf"))) ||
	    (is_post && (same(what, "getMemberGroups") || same(what, "checkMemberGroups"))))
		return groups_of(c, p, what);
	if (c->is_get && same(what, "owners"))
		return objects_json(c, NULL, 0);
	if (!is_sp)
		return missing(c, what);
	if (c->is_get && same(what, "federatedIdentityCredentials") && c->n_seg == 3) {
		c->result =
			list_json(c, what, credentials_json(c, p->oid, STORE_CREDENTIAL_FEDERATED));
		return 0;
	}
	if (!k->resource) /* by directoryObjects: for reading, and groups' members */
		return c->is_get ? missing(c, what)
				 : arm_refuse(&c->error, 405, "MethodNotAllowed",
					      "This cannot be done here.");
	r = need(c, k->resource, "write");
	if (r < 0)
		return r;
	if (is_post && same(what, "addPassword"))
		return password_add(c, p);
	if (is_post && (same(what, "removePassword") || same(what, "removeKey")))
		return credential_drop(c, p, arm_str(c->body, "keyId", ""));
	if (is_post && same(what, "federatedIdentityCredentials") && c->n_seg == 3)
		return federated_put(c, p);
	if (rest_is(c, "DELETE") && same(what, "federatedIdentityCredentials") && c->n_seg == 4)
		return credential_drop(c, p, c->seg[3]);
	return missing(c, what);
}

static int
object_one(struct rest *c, const struct kind *k)
{
	struct store_principal p;
	int r = object_get(c, k, c->seg[1], &p);

	if (r < 0)
		return r;
	if (c->n_seg > 2)
		return object_part(c, k, &p);
	if (c->is_get) {
		c->result = k->kind ? object_json(c, &p, k->path) : typed_json(c, &p);
		credentials_add(c, &p, c->result);
		return 0;
	}
	if (k->kind && rest_is(c, "PATCH"))
		return update(c, k, &p);
	if (k->kind && rest_is(c, "DELETE")) {
		r = need(c, k->resource, "delete");
		if (r == 0 && !strcmp(p.oid, c->caller.oid))
			return bad(c, "id", "one cannot delete oneself");
		c->status = 204;
		return r < 0 ? r : store_principal_delete(c->tx, p.oid, NULL);
	}
	return arm_refuse(&c->error, 405, "MethodNotAllowed", "This cannot be done here.");
}

static int
organization(struct rest *c)
{
	struct store_tenant t;
	int r = store_tenant_get(c->tx, c->a, c->tenant, &t, NULL);

	if (r <= 0)
		return r < 0 ? r : missing(c, c->tenant);
	c->result =
		list_json(c, "organization",
			  json_pack("[{s:s, s:s, s:[{s:s, s:b}]}]", "id", t.id, "displayName",
				    t.name, "verifiedDomains", "name", t.domain, "isDefault", 1));
	return 0;
}

static int
run(struct rest *c)
{
	const char *what = c->n_seg ? c->seg[0] : "";
	const struct kind *k = kind_of(what);
	struct store_principal me;
	int r;

	if (c->is_get && c->n_seg == 1 && same(what, "organization"))
		return organization(c);
	if (c->is_get && c->n_seg == 1 && same(what, "me")) {
		r = directory_principal(c->tx, c->a, c->tenant, NULL, c->caller.oid, &me, NULL);
		if (r == 1)
			c->result = object_json(c, &me, NULL);
		return r < 0 ? r : r == 1 ? 0 : missing(c, "me");
	}
	if (!k)
		return missing(c, what);
	if (!k->kind && c->n_seg == 2 && rest_is(c, "POST") && same(c->seg[1], "getByIds"))
		return by_ids(c);
	if (c->n_seg >= 2)
		return object_one(c, k);
	if (k->kind && c->is_get)
		return list(c, k);
	if (k->kind && rest_is(c, "POST"))
		return create(c, k);
	return arm_refuse(&c->error, 405, "MethodNotAllowed", "This cannot be done here.");
}

void
graph_handle(struct identity *id, const struct identity_request *rq, struct identity_reply *ret)
{
	const struct arm_auth auth = identity_auth(id);
	struct rest c = { .id = id, .rq = rq, .a = rq->arena };
	json_t *body;
	int r;

	c.error = (struct arm_error){ .arena = c.a };
	c.base = arena_printf(c.a, "%s/v1.0", id->base_url);
	r = auth.authenticate(auth.ctx, c.a, rq->authorization, rq->now_us, &c.caller, &c.error);
	c.tenant = c.caller.tenant;
	if (r == 0)
		r = rest_run(&c, "/v1.0/", run);
	else
		c.status = c.error.status;
	body = r < 0 ? arm_error_body(&c.error) : c.result;
	rest_reply(&c, "application/json; charset=utf-8", body, ret);
}
