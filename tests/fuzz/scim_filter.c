/* SCIM filters and paths: first line a filter or path, the rest a resource to look at. What is parsed
 * must be evaluated without harm, and an index may be used only for what the filter demands. */
#include "base/arena.h"
#include "identity/scim_filter.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
evaluate(const struct scim_filter *f, json_t *resource)
{
	const char *user = scim_filter_equals(f, "userName");
	bool matches = scim_filter_matches(f, resource);
	json_t *have = scim_member(resource, "userName", NULL);

	/* Whom the index would not find must not match. */
	if (user && matches && !json_is_array(have) && !json_is_object(have) &&
	    (!json_is_string(have) || strcasecmp(user, json_string_value(have)) != 0))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_ARENA a = { 0 };
	char *text = arena_strndup(&a, (const char *)data, size), *rest = strchr(text, '\n');
	const struct scim_filter *f;
	struct scim_path path;
	json_t *resource = NULL;
	struct err e = { 0 };

	if (rest) {
		*rest++ = '\0';
		resource = json_loads(rest, JSON_REJECT_DUPLICATES, NULL);
	}
	if (!json_is_object(resource)) {
		json_decref(resource);
		resource = json_pack("{s:s, s:b, s:[{s:s, s:s}]}", "userName", "a@b", "active", 1,
				     "emails", "type", "work", "value", "x");
	}
	if (scim_filter_parse(&a, text, &f, &e) == 0)
		evaluate(f, resource);
	else if (!*e.text)
		abort(); /* a refusal says why */
	if (scim_path_parse(&a, text, &path, &e) == 0 && path.filter)
		scim_filter_matches(path.filter, resource);
	json_decref(resource);
	return 0;
}
