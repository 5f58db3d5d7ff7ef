/* Refusals and their JSON form. */
#include "arm/error.h"

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

void
arm_error_add(struct arm_error *e, const char *code, const char *target, const char *fmt, ...)
{
	struct arm_error_detail *d = NEW(e->arena, struct arm_error_detail), **at = &e->details;
	va_list ap;

	d->code = code;
	d->target = target ? arena_strdup(e->arena, target) : NULL;
	va_start(ap, fmt);
	d->message = vtext(e->arena, fmt, ap);
	va_end(ap);
	while (*at)
		at = &(*at)->next;
	*at = d;
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
		json_array_append_new(details, one);
	}
	if (json_array_size(details))
		json_object_set(err, "details", details);
	json_decref(details);
	return json_pack("{s:o}", "error", err);
}
