#include "http/nodes.h"

#include "base/mem.h"
#include "base/mono.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <strings.h>

enum { TOKEN_HOURS = 1 };

static void
hash_text(const char *text, char out[65])
{
	uint8_t d[SHA256_DIGEST_LENGTH];

	SHA256((const uint8_t *)text, strlen(text), d);
	for (size_t i = 0; i < sizeof(d); i++)
		snprintf(out + i * 2, 3, "%02x", d[i]);
}

/* "SECRET.CAHASH": the agent checks the server by the second half before it says the first. */
static int
token_make(struct nodes *n, struct store_tx *tx, struct arena *a, const char *name,
	   const char **ret, struct err *e)
{
	struct store_node node;
	uint8_t b[32];
	char secret[65], hash[65];
	int r = store_node_get(tx, a, name, &node, e);

	if (r <= 0)
		return r < 0 ? r : err_set(e, -ENOENT, "there is no node '%s'", name);
	if (RAND_bytes(b, sizeof(b)) != 1)
		return err_set(e, -EIO, "no random bytes");
	for (size_t i = 0; i < sizeof(b); i++)
		snprintf(secret + i * 2, 3, "%02x", b[i]);
	*ret = arena_printf(a, "%s.%s", secret, pki_ca_hash(n->pki));
	hash_text(secret, hash);
	node.token_hash = hash;
	node.token_csr = "";
	node.token_until_us = utc_now_us() + TOKEN_HOURS * 3600LL * 1000000;
	return store_node_put(tx, &node, e);
}

/* --- as ARM paths --------------------------------------------------------------------------------- */

static json_t *
node_json(const struct store_node *n)
{
	json_t *report = json_loads(n->report, 0, NULL);
	char when[32], id[256];

	snprintf(id, sizeof(id), "/providers/Wayleave.Nodes/nodes/%s", n->name);
	return json_pack("{s:s, s:s, s:s, s:{s:s, s:b, s:b, s:s?, s:I, s:o}}", "id", id, "name",
			 n->name, "type", "Wayleave.Nodes/nodes", "properties", "role", n->role,
			 "enrolled", *n->cert != '\0', "revoked", n->revoked, "lastSeen",
			 n->seen_us ? utc_format(n->seen_us, when) : NULL, "appliedRevision",
			 (json_int_t)n->applied, "report", report ? report : json_object());
}

static int
nodes_list(struct arm_extension_call *x)
{
	struct store_node *list;
	const char *after = NULL;
	json_t *value = json_array();
	struct err e;
	size_t n = 500;
	int r = 0;

	while (n == 500 && r >= 0) {
		r = store_node_list(x->s->tx, x->s->arena, after, 500, &list, &n, &e);
		for (size_t i = 0; i < n && r >= 0; i++)
			json_array_append_new(value, node_json(&list[i]));
		if (n)
			after = list[n - 1].name;
	}
	x->result = json_pack("{s:o}", "value", value);
	return r;
}

static int
handle(void *ctx, struct arm_extension_call *x)
{
	const char *action = x->method == ARM_GET ? "Wayleave.Nodes/nodes/read"
						  : "Wayleave.Nodes/nodes/enrolmentToken/action";
	const char *token;
	struct err e;
	int r;

	if (!x->n_seg || strcasecmp(x->seg[0], "nodes") || strcmp(x->scope, "/"))
		return arm_refuse(x->s->error, 404, "InvalidResourceType",
				  "Wayleave.Nodes has /providers/Wayleave.Nodes/nodes only.");
	if (!arm_may(x->s, action, "/"))
		return arm_deny(x->s, action, "/");
	if (x->n_seg == 1 && x->method == ARM_GET)
		return nodes_list(x);
	if (x->n_seg == 2 && x->method == ARM_GET) {
		struct store_node n;

		r = store_node_get(x->s->tx, x->s->arena, x->seg[1], &n, &e);
		if (r == 1)
			x->result = node_json(&n);
		return r == 0 ? arm_refuse(x->s->error, 404, "ResourceNotFound",
					   "There is no node '%s'.", x->seg[1])
			      : MIN(r, 0);
	}
	if (x->n_seg != 3 || strcasecmp(x->seg[2], "enrolmentToken") || x->method != ARM_POST)
		return arm_refuse(x->s->error, 405, "MethodNotAllowed",
				  "That is not offered here.");
	r = token_make(ctx, x->s->tx, x->s->arena, x->seg[1], &token, &e);
	if (r == -ENOENT)
		return arm_refuse(x->s->error, 404, "ResourceNotFound", "There is no node '%s'.",
				  x->seg[1]);
	if (r == 0)
		x->result = json_pack("{s:s, s:i}", "token", token, "expiresInSeconds",
				      TOKEN_HOURS * 3600);
	return r;
}

struct arm_extension
nodes_extension(struct nodes *n)
{
	return (struct arm_extension){ "Wayleave.Nodes", "2015-01-01", n, handle };
}

/* --- for the agents' listener ----------------------------------------------------------------------- */

struct enrol {
	struct nodes *n;
	struct arena arena;
	const char *name, *secret, *csr;
	bool is_renewal, is_first_use;
	char *pem;
	const char *out, *cert;
};

/* A token is for one request: an answer that was lost may be asked for again. */
static bool
token_is_good(const struct store_node *node, const char *secret, const char *csr_hash)
{
	char hash[65];

	hash_text(secret, hash);
	return strlen(node->token_hash) == 64 && !CRYPTO_memcmp(hash, node->token_hash, 64) &&
	       utc_now_us() < node->token_until_us &&
	       (!*node->token_csr || !strcmp(node->token_csr, csr_hash));
}

static int
enrol_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct enrol *w = arg;
	struct store_node node;
	char hash[65], csr_hash[65];
	int r = store_node_get(tx, &w->arena, w->name, &node, e);

	hash_text(w->csr, csr_hash);
	if (r < 0)
		return r;
	if (r == 0 || node.revoked ||
	    (!w->is_renewal && !token_is_good(&node, w->secret, csr_hash)))
		return err_set(e, -EPERM,
			       "the token is not good for this node, was used, or is too old");
	free(w->pem);
	w->pem = NULL;
	r = pki_sign(w->n->pki, w->csr, w->name, &w->pem, hash, e);
	if (r < 0)
		return r;
	/* Until the new one is used, we do not know that it has arrived: the one that was last used
	 * stays good (find_run()). */
	if (!*node.cert_before)
		node.cert_before = node.cert;
	node.cert = hash;
	if (!w->is_renewal)
		node.token_csr = csr_hash;
	return store_node_put(tx, &node, e);
}

static int
enrol(struct enrol *w, json_t **ret, struct err *e)
{
	int r = w->csr ? store_write(w->n->store, enrol_run, w, e)
		       : err_set(e, -EINVAL, "csr is missing");

	if (r == 0)
		*ret = json_pack("{s:s, s:s}", "certificate", w->pem, "ca", pki_ca_pem(w->n->pki));
	free(w->pem);
	arena_reset(&w->arena);
	return r;
}

int
nodes_enrol(struct nodes *n, const json_t *body, json_t **ret, struct err *e)
{
	struct enrol w = { .n = n,
			   .name = arm_str(body, "node", NULL),
			   .csr = arm_str(body, "csr", NULL) };
	const char *token = arm_str(body, "token", NULL);

	if (!w.name || !token)
		return err_set(e, -EINVAL, "node and token are missing");
	w.secret = arena_strndup(&w.arena, token, strcspn(token, "."));
	return enrol(&w, ret, e);
}

int
nodes_renew(struct nodes *n, const char *node, const json_t *body, json_t **ret, struct err *e)
{
	struct enrol w = {
		.n = n, .name = node, .csr = arm_str(body, "csr", NULL), .is_renewal = true
	};

	return enrol(&w, ret, e);
}

static int
token_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct enrol *w = arg;

	return token_make(w->n, tx, &w->arena, w->name, &w->out, e);
}

int
nodes_token(struct nodes *n, struct arena *a, const char *node, const char **ret, struct err *e)
{
	struct enrol w = { .n = n, .name = node };
	int r = store_write(n->store, token_run, &w, e);

	if (r == 0)
		*ret = arena_strdup(a, w.out);
	arena_reset(&w.arena);
	return r;
}

static int
find_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct enrol *w = arg;
	struct store_node node;
	int r = store_node_by_cert(tx, &w->arena, w->cert, &node, e);

	w->out = r == 1 && !node.revoked ? node.name : NULL;
	w->is_first_use = w->out && !strcmp(node.cert, w->cert) &&
			  (*node.cert_before || *node.token_csr);
	return MIN(r, 0);
}

/* The new certificate has arrived: the one before and the token are over. */
static int
first_use_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct enrol *w = arg;
	struct store_node node;
	int r = store_node_get(tx, &w->arena, w->out, &node, e);

	if (r <= 0 || strcmp(node.cert, w->cert) != 0)
		return MIN(r, 0);
	node.cert_before = "";
	if (*node.token_csr) {
		node.token_hash = node.token_csr = "";
		node.token_until_us = 0;
	}
	return store_node_put(tx, &node, e);
}

int
nodes_find(struct nodes *n, struct arena *a, const char *cert, const char **ret, struct err *e)
{
	struct enrol w = { .n = n, .cert = cert };
	int r = store_read(n->store, find_run, &w, e);
	bool hit = r == 0 && w.out;

	if (hit && w.is_first_use)
		r = store_write(n->store, first_use_run, &w, e);
	if (hit)
		*ret = arena_strdup(a, w.out);
	arena_reset(&w.arena);
	return r < 0 ? r : hit;
}
