/* Refusals and their JSON form. */
#include "arm/error.h"

#include "arm/type.h"

#include <strings.h>

enum { MAX_DETAILS = 200 };

__attribute__((format(printf, 2, 0))) static char *
vtext(struct arena *a, const char *fmt, va_list ap)
{
	char line[1024];

	vsnprintf(line, sizeof(line), fmt, ap);
	return arena_strdup(a, line);
}

int(arm_refuse)(struct arm_error *e, int status, const char *code, const char *fmt, ...)
{
	va_list ap;

	e->status = status;
	e->code = code;
	e->target = NULL;
	va_start(ap, fmt);
	e->message = vtext(e->arena, fmt, ap);
	va_end(ap);
	return -EBADE;
}

int(arm_refuse_at)(struct arm_error *e, int status, const char *code, const char *target,
		   const char *fmt, ...)
{
	va_list ap;

	e->status = status;
	e->code = code;
	e->target = target ? arena_strdup(e->arena, target) : NULL;
	va_start(ap, fmt);
	e->message = vtext(e->arena, fmt, ap);
	va_end(ap);
	return -EBADE;
}

static const char *
kept(struct arena *a, const char *s)
{
	return s ? arena_strdup(a, s) : NULL;
}

static struct arm_error_detail *
detail_add(struct arm_error *e, const char *code, const char *target, char *message)
{
	struct arm_error_detail *d = NEW(e->arena, struct arm_error_detail), **at = &e->details;

	d->code = code;
	d->target = kept(e->arena, target);
	d->message = message;
	for (unsigned n = 0; *at; n++) {
		if (n == MAX_DETAILS)
			return d; /* nobody reads more */
		at = &(*at)->next;
	}
	return *at = d;
}

void
arm_error_add(struct arm_error *e, const char *code, const char *target, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	detail_add(e, code, target, vtext(e->arena, fmt, ap));
	va_end(ap);
}

void
arm_error_block(struct arm_error *e, const char *code, const char *target, const char *method,
		const char *path, const char *body, const char *fmt, ...)
{
	struct arm_error_detail *d;
	va_list ap;

	va_start(ap, fmt);
	d = detail_add(e, code, target, vtext(e->arena, fmt, ap));
	va_end(ap);
	d->method = method;
	d->path = kept(e->arena, path);
	d->body = kept(e->arena, body);
}

/* Messages may quote what was sent, cut in the middle of a character by the size limit. */
static json_t *
text_json(const char *s)
{
	json_t *j = json_string(s);

	for (size_t n = strlen(s); !j && n > 0; n--)
		j = json_stringn(s, n - 1);
	return j ? j : json_string("");
}

/* Any version from a provider's floor on is served with one model. */
#define CALL_VERSION "2024-05-01"

static const char *
call_version(const struct arm_error *e, const char *path)
{
	const char *ns = NULL, *p = path;

	while ((p = strcasestr(p, "/providers/")))
		ns = p += strlen("/providers/");
	for (const struct arm_provider *const *x = e->providers; ns && x && *x; x++) {
		size_t n = strlen((*x)->ns);

		if (!strncasecmp(ns, (*x)->ns, n) && ns[n] == '/' &&
		    strcmp((*x)->floor, CALL_VERSION) > 0)
			return (*x)->floor;
	}
	return CALL_VERSION;
}

static json_t *
call_json(const struct arm_error *e, const struct arm_error_detail *d)
{
	json_t *info = json_object(), *body = d->body ? json_loads(d->body, 0, NULL) : NULL;
	const char *url = arena_printf(e->arena, "%s%s%sapi-version=%s",
				       e->base_url ? e->base_url : "", d->path,
				       strchr(d->path, '?') ? "&" : "?", call_version(e, d->path));

	json_object_set_new(info, "method", json_string(d->method));
	json_object_set_new(info, "url", text_json(url));
	if (body)
		json_object_set_new(info, "body", body);
	return json_pack("[{s:s, s:o}]", "type", "Call", "info", info);
}

json_t *
arm_error_body(const struct arm_error *e)
{
	json_t *err = json_object(), *details = json_array();

	json_object_set_new(err, "code", text_json(e->code));
	json_object_set_new(err, "message", text_json(e->message));
	if (e->target)
		json_object_set_new(err, "target", text_json(e->target));
	for (const struct arm_error_detail *d = e->details; d; d = d->next) {
		json_t *one = json_object();

		json_object_set_new(one, "code", text_json(d->code));
		json_object_set_new(one, "message", text_json(d->message));
		if (d->target)
			json_object_set_new(one, "target", text_json(d->target));
		if (d->method)
			json_object_set_new(one, "additionalInfo", call_json(e, d));
		json_array_append_new(details, one);
	}
	if (json_array_size(details))
		json_object_set(err, "details", details);
	json_decref(details);
	return json_pack("{s:o}", "error", err);
}
