/* Any bytes as a request body: parsed, merged into what is there by a table with every kind of
 * property, secrets taken out and put back. */
#include "arm/internal.h"

static const char *const words[] = { "One", "Two", NULL };
static const struct arm_prop inner[] = {
	{ .name = "n", .kind = ARM_INT, .flags = ARM_REQUIRED, .min = 1, .max = 9 },
	{ .name = "secret", .kind = ARM_STRING, .flags = ARM_SECRET, .max = 25 },
	{ .name = "ref", .kind = ARM_REF, .ref_type = "N/t" },
	{ 0 },
};
static const struct arm_type child = { .ns = "N", .name = "kids", .props = inner };
static const struct arm_prop props[] = {
	{ .name = "s", .kind = ARM_STRING, .flags = ARM_FIXED, .max = 8 },
	{ .name = "w", .kind = ARM_STRING, .words = words, .def = "\"One\"" },
	{ .name = "f", .kind = ARM_NUMBER, .flags = ARM_KEEP },
	{ .name = "b", .kind = ARM_BOOL },
	{ .name = "o", .kind = ARM_OBJECT, .props = inner },
	{ .name = "l", .kind = ARM_LIST, .item = ARM_OBJECT, .props = inner },
	{ .name = "ls", .kind = ARM_LIST, .item = ARM_STRING, .max = 3 },
	{ .name = "m", .kind = ARM_MAP },
	{ .name = "a", .kind = ARM_ANY },
	{ .name = "kids", .kind = ARM_CHILDREN, .flags = ARM_KEEP, .child = &child },
	{ 0 },
};
static const struct arm_type *const children[] = { &child, NULL };
static const struct arm_type type = { .ns = "N", .name = "t", .props = props, .children = children };

static void
on_ref(void *arg, const struct arm_prop *p, const char *from, const char *kind, const char *to)
{
	assert(*to == '/');
}

static void
secrets_round_trip(json_t *element)
{
	json_t *copy = json_deep_copy(element), *secrets = secrets_split(&type, copy);

	secrets_join(&type, copy, secrets);
	json_decref(secrets);
	json_decref(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_ARENA a = { 0 };
	struct arm_error e = { .arena = &a };
	json_t *body = arm_body_parse(&a, data, size, &e), *have = NULL;

	if (!body) {
		assert(e.status >= 400);
		return 0;
	}
	for (int round = 0; round < 2; round++) { /* created, then the same over it */
		struct merge m = { .arena = &a, .error = &e };
		json_t *want = merge_element(&m, &type, body, have, "");
		json_t *error;

		merge_result(&m);
		secrets_round_trip(want);
		refs_walk(&a, &type, want, "/n/t/x", on_ref, NULL);
		json_decref(have);
		have = want;
		if (e.status) {
			error = arm_error_body(&e);
			assert(error);
			json_decref(error);
		}
	}
	json_decref(have);
	json_decref(body);
	return 0;
}
