/* Any bytes as an expression; those that begin with '{' as a template: parameters, steps, bodies,
 * outputs, first looking ahead, then for good. It ends, within its limits, and a refusal says why. */
#include "arm/template.h"

static json_t *
group(void *ctx, struct arm_error *e)
{
	return json_pack("{s:s, s:s}", "name", "G", "location", "here");
}

static json_t *
resource(void *ctx, const char *id, struct arm_error *e)
{
	if (strlen(id) % 7 == 0) {
		arm_refuse(e, 404, "ResourceNotFound", "It is not there.");
		return NULL;
	}
	return json_pack("{s:s, s:{s:[i,{s:n}], s:s}}", "id", id, "properties", "a", 1, "b", "c",
			 "d");
}

static void
plan_run(struct template *t)
{
	struct template_plan plan;
	json_t *shown, *outputs;

	if (template_parameters(t, NULL) < 0 || template_plan_make(t, &plan) < 0)
		return;
	shown = template_parameters_shown(t);
	json_decref(shown);
	for (size_t i = 0; i < plan.n; i++) {
		assert(plan.steps[i].id[0] == '/');
		if (!template_step_body(t, &plan.steps[i]))
			return;
	}
	outputs = template_outputs(t);
	json_decref(outputs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char small[] =
		"{\"resources\":[{\"type\":\"A/b\",\"apiVersion\":\"2020-01-01\",\"name\":\"x\"}],"
		"\"parameters\":{\"p\":{\"type\":\"int\",\"defaultValue\":3}},"
		"\"variables\":{\"v\":\"[concat(variables('w'),'!')]\",\"w\":[1,{\"a\":null}]}}";
	AUTO_ARENA a = { 0 };
	struct arm_error e = { .arena = &a };
	bool is_template = size && *data == '{';
	json_t *doc = is_template ? template_read(&a, data, size, &e)
				  : template_read(&a, small, strlen(small), &e);
	json_t *function = json_pack("{s:s}", "name", "D"), *in;
	const struct template_world w = {
		.sub = "S",
		.rg = "G",
		.deployment = function,
		.subscription = group,
		.group = group,
		.resource = resource,
	};
	struct template_plan plan;
	struct template t;

	if (doc) {
		template_init(&t, &a, &e, doc, &w);
		if (is_template) {
			plan_run(&t);
		} else {
			in = json_stringn((const char *)data, size);
			assert(template_parameters(&t, NULL) == 0);
			assert(template_plan_make(&t, &plan) == 0);
			if (in && !template_value(&t, in, "x"))
				assert(e.status >= 400 && e.message);
			json_decref(in);
		}
		template_fini(&t);
		json_decref(doc);
	}
	json_decref(function);
	return 0;
}
