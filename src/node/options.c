#include "node/options.h"

#include "base/buf.h"
#include "base/mem.h"

#include <fcntl.h>
#include <jansson.h>

enum { OPTIONS_BYTES = 16 << 20 };

struct option {
	const char *name;
	size_t at;
};
#define TEXT(name, member) \
	{ \
		name, offsetof(struct node_options, member) \
	}

static const struct option options[] = {
	TEXT("instance", instance),  TEXT("node", node), TEXT("runDir", run_dir),
	TEXT("stateDir", state_dir), TEXT("user", user),
};
static const struct option controller_options[] = {
	TEXT("url", controller_url),
	TEXT("ca", controller_ca),
	TEXT("certificate", certificate),
	TEXT("key", key),
	TEXT("token", token),
};

/* A text option of the table, -ENOENT when it is none. */
static int
read_option(struct node_options *o, const struct option *table, size_t n, const char *key,
	    json_t *v, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(table[i].name, key))
			continue;
		if (!json_is_string(v) || !json_string_length(v))
			return err_set(e, -EINVAL, "%s: must be text", key);
		*(const char **)((char *)o + table[i].at) =
			arena_strdup(&o->arena, json_string_value(v));
		return 0;
	}
	return -ENOENT;
}

static int
read_controller(struct node_options *o, json_t *v, struct err *e)
{
	const char *key;
	json_t *x;

	if (!json_is_object(v))
		return err_set(e, -EINVAL, "controller: must be an object");
	json_object_foreach(v, key, x) {
		int r = read_option(o, controller_options, COUNT(controller_options), key, x, e);

		if (r == -ENOENT)
			return err_set(e, -EINVAL, "controller: unknown option \"%.60s\"", key);
		if (r < 0)
			return err_wrap(e, r, "controller");
	}
	if (!o->controller_url || strncmp(o->controller_url, "https://", 8))
		return err_set(e, -EINVAL, "controller: url: must begin with https://");
	if (!o->controller_ca)
		return err_set(e, -EINVAL, "controller: ca is missing");
	return 0;
}

static int
read_log(struct node_options *o, json_t *v, struct err *e)
{
	static const char *const words[] = { "error", "warn", "info", "debug" };

	for (unsigned i = 0; i < COUNT(words); i++) {
		if (json_is_string(v) && !strcmp(json_string_value(v), words[i])) {
			o->log = (enum log_level)i;
			return 0;
		}
	}
	return err_set(e, -EINVAL, "log: must be error, warn, info or debug");
}

static int
read_document(struct node_options *o, json_t *doc, struct err *e)
{
	const char *key;
	json_t *v;
	int r;

	if (!json_is_object(doc))
		return err_set(e, -EINVAL, "must be a mapping of options");
	json_object_foreach(doc, key, v) {
		if (!strcmp(key, "controller"))
			r = read_controller(o, v, e);
		else if (!strcmp(key, "log"))
			r = read_log(o, v, e);
		else if (!strcmp(key, "sandbox") && json_is_boolean(v))
			o->sandbox = json_is_true(v), r = 0;
		else if (!strcmp(key, "sandbox"))
			r = err_set(e, -EINVAL, "sandbox: must be true or false");
		else if (!strcmp(key, "objects"))
			r = node_config_from_json(doc, &o->objects, e);
		else
			r = read_option(o, options, COUNT(options), key, v, e);
		if (r == -ENOENT)
			return err_set(e, -EINVAL, "unknown option \"%.60s\"", key);
		if (r < 0)
			return r;
	}
	return 0;
}

static void
note_bad(void *arg, const struct node_object *o, const struct err *bad)
{
	struct err *first = arg;

	if (!first->code)
		*first = *bad;
}

static int
check_objects(const struct node_options *o, struct err *e)
{
	const struct node_object *self = node_config_get(o->objects, NODE_SELF, o->node);
	struct err first = { 0 };

	if (!self)
		return err_set(e, -EINVAL, "objects: there is no node object with the key %s",
			       o->node);
	if (node_config_check(o->objects, note_bad, &first))
		return err_set(e, first.code, "objects: %s", first.text);
	return 0;
}

int
node_options_parse(const char *path, const char *text, size_t n, struct node_options **ret,
		   struct err *e)
{
	AUTO(node_options) o = mem_alloc(sizeof(*o));
	json_t *doc = node_yaml_load(text, n, e);
	int r;

	if (!doc)
		return err_wrap(e, -EBADMSG, "%s", path);
	o->path = arena_strdup(&o->arena, path);
	o->instance = "default";
	o->log = LOG_INFO;
	o->sandbox = true;
	r = read_document(o, doc, e);
	json_decref(doc);
	if (r == 0 && (!o->node || strchr(o->node, '/') || strlen(o->node) > NODE_KEY_MAX))
		r = err_set(e, -EINVAL, "node: must be this node's name");
	if (r == 0 && strchr(o->instance, '/'))
		r = err_set(e, -EINVAL, "instance: must not contain '/'");
	if (r == 0 && !o->objects == !o->controller_url)
		r = err_set(e, -EINVAL, "either controller or objects is needed, not both");
	if (r == 0 && o->objects)
		r = check_objects(o, e);
	if (r < 0)
		return err_wrap(e, r, "%s", path);
	if (!o->run_dir)
		o->run_dir = arena_printf(&o->arena, "/run/wayleave/%s/%s", o->instance, o->node);
	if (!o->state_dir)
		o->state_dir =
			arena_printf(&o->arena, "/var/lib/wayleave/%s/%s", o->instance, o->node);
	if (o->controller_url && !o->certificate)
		o->certificate = arena_printf(&o->arena, "%s/agent.crt", o->state_dir);
	if (o->controller_url && !o->key)
		o->key = arena_printf(&o->arena, "%s/agent.key", o->state_dir);
	*ret = TAKE(o);
	return 0;
}

int
node_options_load(const char *path, struct node_options **ret, struct err *e)
{
	AUTO_CLOSE fd = open(path, O_RDONLY | O_CLOEXEC);
	AUTO_BUF text = { 0 };

	if (fd < 0)
		return err_errno(e, "%s", path);
	while (text.n < OPTIONS_BYTES) {
		ssize_t n;

		buf_reserve(&text, 65536);
		n = read(fd, text.p + text.n, 65536);
		if (n < 0)
			return err_errno(e, "%s", path);
		if (n == 0)
			return node_options_parse(path, buf_str(&text), text.n, ret, e);
		text.n += (size_t)n;
	}
	return err_set(e, -EMSGSIZE, "%s: more than %d bytes", path, OPTIONS_BYTES);
}

void
node_options_destroy(struct node_options *o)
{
	if (!o)
		return;
	node_config_destroy(o->objects);
	arena_reset(&o->arena);
	free(o);
}
