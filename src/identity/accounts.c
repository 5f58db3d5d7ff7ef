/* Wayleave.Identity: what administrators do about sign-in that Azure has no call for.
 *
 *   POST users/{object id or name}/invite       a link that signs this user in, once
 *   POST users/{object id or name}/revoke       ends the user's sessions, refresh tokens and links, and
 *                                               the tie to the issuer's subject
 *   GET|PUT|DELETE clients/{client id}          redirect URIs of an application
 *   GET signingKeys, POST signingKeys/rotate    {"atOnce": true}: no token given so far counts any more
 *
 * Over users of a tenant: who may "Wayleave.Identity/users/invite/action" over "/", for they may become
 * anybody. */
#include "identity/oauth.h"

#include "base/mono.h"

#include <strings.h>

enum { MAX_REDIRECTS = 20 };

static int
need(struct arm_extension_call *x, const char *action)
{
	return arm_may(x->s, action, "/") ? 0 : arm_deny(x->s, action, "/");
}

static int
not_there(struct arm_extension_call *x, const char *what)
{
	return arm_refuse(x->s->error, 404, "NotFound", "There is no %s here.", what);
}

/* --- users ------------------------------------------------------------------------------------------------------- */

static int
user_find(struct arm_extension_call *x, const char *name, struct store_principal *ret)
{
	struct arena *a = x->s->arena;
	const char *at = strrchr(name, '@'), *tenant = x->s->caller->tenant;
	struct store_tenant t;
	int r = store_principal_get(x->s->tx, a, arm_id_fold(a, name) + 1, ret, NULL);

	if (r == 0 && at &&
	    store_tenant_by_domain(x->s->tx, a, arm_id_fold(a, at + 1) + 1, &t, NULL) == 1)
		tenant = t.id;
	if (r == 0)
		r = store_principal_by_upn(x->s->tx, a, tenant, name, ret, NULL);
	if (r == 1 && strcmp(ret->kind, "User") != 0)
		r = 0;
	return r == 0 ? arm_refuse(
				x->s->error, 404, "UserNotFound",
				"There is no user '%s': neither an object id nor a user principal "
				"name.",
				name)
		      : MIN(r, 0);
}

static int
invite(struct arm_extension_call *x, struct identity *id, const struct store_principal *who)
{
	struct store_ticket t = { .kind = "invite",
				  .oid = who->oid,
				  .made_us = x->s->now_us,
				  .until_us = x->s->now_us + INVITE_LIFE_S * SECOND };
	char code[44], hash[65], until[32];
	int r;

	secret_make(code);
	sha256_hex(code, strlen(code), hash);
	t.hash = hash;
	r = store_ticket_put(x->s->tx, &t, NULL);
	if (r < 0)
		return r;
	x->status = 201;
	x->result = json_pack("{s:s, s:s, s:s, s:s}", "userId", who->oid, "userPrincipalName",
			      *who->upn ? who->upn : who->name, "link",
			      arena_printf(x->s->arena, "%s/invite?code=%s", id->base_url, code),
			      "expiresOn", utc_format(t.until_us, until));
	return 0;
}

static int
access_end(struct arm_extension_call *x, const struct store_principal *who)
{
	static const char *const kinds[] = { "session", "refresh", "code",   "device",
					     "invite",  "bound",   "subject" };
	int r = 0;

	for (size_t i = 0; i < COUNT(kinds) && r == 0; i++)
		r = store_ticket_drop_of(x->s->tx, who->oid, kinds[i], NULL);
	x->status = 204;
	return r;
}

static int
users(struct arm_extension_call *x, struct identity *id)
{
	bool invites = x->n_seg == 3 && !strcasecmp(x->seg[2], "invite"),
	     revokes = x->n_seg == 3 && !strcasecmp(x->seg[2], "revoke");
	struct store_principal who = { .oid = "", .upn = "", .name = "" };
	int r;

	if (!(invites || revokes) || x->method != ARM_POST)
		return not_there(x, "such action");
	r = need(x, invites ? "Wayleave.Identity/users/invite/action"
			    : "Wayleave.Identity/users/revoke/action");
	if (r == 0)
		r = user_find(x, x->seg[1], &who);
	if (r < 0)
		return r;
	return invites ? invite(x, id, &who) : access_end(x, &who);
}

/* --- applications -------------------------------------------------------------------------------------------------- */

static int
client_body(struct arm_extension_call *x, json_t **ret)
{
	json_t *list = json_object_get(x->body, "redirectUris"),
	       *is_public = json_object_get(x->body, "isPublic");

	if (!json_is_array(list) || json_array_size(list) > MAX_REDIRECTS)
		return arm_refuse_at(x->s->error, 400, "InvalidRequestContent", "redirectUris",
				     "redirectUris must be a list of at most %d texts.",
				     MAX_REDIRECTS);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *uri = json_string_value(json_array_get(list, i));

		if (!uri || !redirect_is_sound(uri))
			return arm_refuse_at(
				x->s->error, 400, "InvalidRequestContent",
				arena_printf(x->s->arena, "redirectUris[%zu]", i),
				"'%.200s' must be https://..., or http:// on localhost, "
				"127.0.0.1 or [::1], without '#', '*' or a user.",
				uri ? uri : "");
	}
	if (is_public && !json_is_boolean(is_public))
		return arm_refuse_at(x->s->error, 400, "InvalidRequestContent", "isPublic",
				     "isPublic must be true or false.");
	*ret = json_pack("{s:O, s:b}", "redirectUris", list, "isPublic", json_is_true(is_public));
	return 0;
}

static json_t *
client_json(const char *client_id, const char *body)
{
	json_t *j = json_loads(body, 0, NULL);

	json_object_set_new(j, "clientId", json_string(client_id));
	return j;
}

static int
client_put(struct arm_extension_call *x, const char *client_id)
{
	struct store_record rec = {
		.space = "client", .name = client_id, .id = client_id, .etag = ""
	};
	json_t *body = NULL;
	char *text;
	int r = client_body(x, &body);

	if (r < 0)
		return r;
	text = json_dumps(body, JSON_COMPACT);
	rec.body = text;
	r = store_record_put(x->s->tx, &rec, NULL);
	x->result = client_json(client_id, text);
	free(text);
	json_decref(body);
	return r;
}

static int
clients(struct arm_extension_call *x)
{
	struct arena *a = x->s->arena;
	const char *client_id = x->n_seg == 2 ? arm_id_fold(a, x->seg[1]) + 1 : "";
	struct store_principal who;
	struct store_record rec;
	int r = need(x, x->method == ARM_GET ? "Wayleave.Identity/clients/read"
					     : "Wayleave.Identity/clients/write");

	if (r < 0)
		return r;
	r = store_principal_by_client(x->s->tx, a, client_id, &who, NULL);
	if (r <= 0 || strcmp(who.kind, "ServicePrincipal") != 0)
		return r < 0 ? r : not_there(x, "such application");
	if (x->method == ARM_PUT)
		return client_put(x, client_id);
	if (x->method == ARM_DELETE) {
		x->status = 204;
		return store_record_delete(x->s->tx, "client", client_id, NULL);
	}
	if (x->method != ARM_GET)
		return arm_refuse(x->s->error, 405, "MethodNotAllowed", "Not with this method.");
	r = store_record_get(x->s->tx, a, "client", client_id, &rec, NULL);
	if (r >= 0)
		x->result = client_json(
			client_id, r == 1 ? rec.body : "{\"redirectUris\":[],\"isPublic\":false}");
	return MIN(r, 0);
}

/* --- signing keys ----------------------------------------------------------------------------------------------------- */

static int
keys_show(struct arm_extension_call *x, struct identity *id)
{
	int64_t now_s = x->s->now_us / SECOND;
	json_t *list = json_array();
	const struct keys_one *signing;
	char from[32], until[32];

	pthread_mutex_lock(&id->lock);
	signing = keys_signing(&id->keys, now_s);
	for (size_t i = 0; i < id->keys.n; i++) {
		const struct keys_one *k = &id->keys.list[i];
		json_t *j = json_pack("{s:s, s:s, s:s}", "keyId", k->kid, "signsFrom",
				      utc_format(k->from_s * SECOND, from), "state",
				      k == signing        ? "Signing"
				      : k->from_s > now_s ? "Published"
							  : "Retired");

		if (k->until_s)
			json_object_set_new(j, "validUntil",
					    json_string(utc_format(k->until_s * SECOND, until)));
		json_array_append_new(list, j);
	}
	pthread_mutex_unlock(&id->lock);
	x->result = json_pack("{s:o}", "value", list);
	return 0;
}

static int
signing_keys(struct arm_extension_call *x, struct identity *id)
{
	const json_t *at_once = json_object_get(x->body, "atOnce");
	int r;

	if (x->n_seg == 1 && x->method == ARM_GET) {
		r = need(x, "Wayleave.Identity/signingKeys/read");
		return r < 0 ? r : keys_show(x, id);
	}
	if (x->n_seg != 2 || strcasecmp(x->seg[1], "rotate") != 0 || x->method != ARM_POST)
		return not_there(x, "such action");
	r = need(x, "Wayleave.Identity/signingKeys/rotate/action");
	if (r < 0)
		return r;
	if (at_once && !json_is_boolean(at_once))
		return arm_refuse_at(x->s->error, 400, "InvalidRequestContent", "atOnce",
				     "atOnce must be true or false.");
	identity_doubt_keys(id, x->s->now_us);
	x->status = 204;
	return keys_rotate(x->s->tx, json_is_true(at_once) ? KEYS_AT_ONCE : KEYS_SOON,
			   x->s->now_us / SECOND, NULL);
}

int
accounts_handle(void *ctx, struct arm_extension_call *x)
{
	struct identity *id = ctx;
	const char *what = x->n_seg ? x->seg[0] : "";

	if (strcmp(x->scope, "/") != 0)
		return not_there(x, "Wayleave.Identity below a scope");
	if (!strcasecmp(what, "users"))
		return users(x, id);
	if (!strcasecmp(what, "clients"))
		return clients(x);
	if (!strcasecmp(what, "signingKeys"))
		return signing_keys(x, id);
	return arm_refuse(x->s->error, 404, "InvalidResourceType",
			  "The resource type '%s' could not be found in the namespace "
			  "'Wayleave.Identity'.",
			  what);
}
