#include "example.h"

/* --- lids: children of boxes ------------------------------------------------------------------------ */

static int
lid_check(struct arm_plan *p, const char *id, json_t *have, json_t *want)
{
	if (want && arm_int(want, "properties.weight", 0) > 50 &&
	    arm_bool(p->want->body, "properties.isSmall", false))
		return arm_refuse_at(p->s->error, 400, "LidTooHeavy", "properties.weight",
				     "A small box carries lids of up to 50.");
	return 0;
}

static const struct arm_prop lid_props[] = {
	{ .name = "weight", .kind = ARM_INT, .flags = ARM_REQUIRED, .min = 1, .max = 100 },
	{ .name = "code", .kind = ARM_STRING, .flags = ARM_SECRET, .max = 25 },
	{ 0 },
};

static const struct arm_type lids = {
	.ns = "Example.Things",
	.name = "lids",
	.props = lid_props,
	.in_use_code = "LidInUse",
	.check = lid_check,
};

/* --- shelves ------------------------------------------------------------------------------------------ */

static const struct arm_type shelves = {
	.ns = "Example.Things",
	.name = "shelves",
	.flags = ARM_TRACKED,
	.in_use_code = "ShelfInUse",
	.in_use_status = 400,
};

/* --- boxes ---------------------------------------------------------------------------------------------- */

static const char *const colours[] = { "Red", "Green", NULL };

static const struct arm_prop size_props[] = {
	{ .name = "width", .kind = ARM_INT, .flags = ARM_REQUIRED, .min = 1, .max = 1000 },
	{ .name = "unit", .kind = ARM_STRING, .flags = ARM_FIXED, .def = "\"mm\"" },
	{ 0 },
};

static const struct arm_prop box_props[] = {
	{ .name = "colour", .kind = ARM_STRING, .words = colours, .def = "\"Red\"" },
	{ .name = "label", .kind = ARM_STRING, .max = 10 },
	{ .name = "isSmall", .kind = ARM_BOOL, .def = "false" },
	{ .name = "size", .kind = ARM_OBJECT, .flags = ARM_KEEP, .props = size_props },
	{ .name = "key", .kind = ARM_STRING, .flags = ARM_SECRET | ARM_SHOWN_TO_WRITERS, .max = 40 },
	{ .name = "number", .kind = ARM_INT, .flags = ARM_READ_ONLY },
	{ .name = "shelf",
	  .kind = ARM_REF,
	  .ref_type = "Example.Things/shelves",
	  .join = "Example.Things/shelves/join/action" },
	{ .name = "lids", .kind = ARM_CHILDREN, .flags = ARM_KEEP, .child = &lids },
	{ 0 },
};

static int
box_plan(struct arm_plan *p)
{
	uint64_t number;

	if (!p->want)
		return 0;
	if (p->have && arm_int(p->want->body, "properties.size.width", 0) <
			       arm_int(p->have->body, "properties.size.width", 0))
		return arm_refuse_at(p->s->error, 400, "BoxCannotShrink", "properties.size.width",
				     "A box grows, it never shrinks.");
	if (p->verb != ARM_VERB_CREATE)
		return 0;
	if (arm_claim_number(p, NULL, "box", 1, 3, &number) < 0)
		return arm_refuse(p->s->error, 409, "NoNumberLeft",
				  "There are three boxes already.");
	arm_set(p->want->body, "properties.number", json_integer((json_int_t)number));
	return 0;
}

static int
box_compile(struct arm_snapshot *s, const struct arm_resource *r)
{
	json_t *body = json_pack("{s:s, s:s}", "colour", arm_str(r->body, "properties.colour", ""),
				 "key", arm_str(r->body, "properties.key", ""));

	arm_emit(s, "node-1", "box", r->name, body);
	return 0;
}

static int
box_view(struct arm_snapshot *s, const struct arm_resource *r, json_t *out)
{
	arm_set(out, "properties.nLids",
		json_integer((json_int_t)json_array_size(arm_at(out, "properties.lids"))));
	return 0;
}

static int
weigh(struct arm_call *c)
{
	arm_call_ask(c, "node-1", "weight", json_string(c->r->name), 10, "w");
	return 0;
}

static int
weighed(struct arm_call *c)
{
	if (!c->answers[0].is_in)
		return arm_refuse(c->s->error, 503, "NodeSilent", "No answer.");
	c->result = json_pack("{s:O}", "value", c->answers[0].result);
	return 0;
}

static int
count(struct arm_call *c)
{
	c->result = json_pack("{s:i}", "lids",
			      (int)json_array_size(arm_at(c->element, "properties.lids")));
	return 0;
}

static const struct arm_action box_actions[] = {
	{ .name = "weigh", .method = ARM_POST, .run = weigh, .answered = weighed },
	{ .name = "weight", .method = ARM_GET, .run = weigh, .answered = weighed },
	{ .name = "count", .method = ARM_GET, .run = count },
	{ 0 },
};

static const struct arm_type *const box_children[] = { &lids, NULL };
const struct arm_metric example_metrics[] = {
	{ "BitsIn", "Bits in", "What goes in.", "BitsPerSecond", ARM_METRIC_RATE, { "Side", "Lid" } },
	{ "Level", "Level", "How full it is.", "Percent", ARM_METRIC_STATE, { "Side", "Lid" } },
	{ 0 },
};
static const struct arm_type boxes = {
	.ns = "Example.Things",
	.name = "boxes",
	.flags = ARM_TRACKED,
	.props = box_props,
	.children = box_children,
	.actions = box_actions,
	.metrics = example_metrics,
	.plan = box_plan,
	.compile = box_compile,
	.view = box_view,
};

/* What every object that changes would weigh, from its node. */
static void
foresee(struct arm_foresight *f)
{
	json_object_set_new(f->report, "weights", json_array());
	for (size_t i = 0; f->call && i < f->n_objects; i++)
		arm_call_ask(f->call, f->objects[i].node, "weight", json_string(f->objects[i].key),
			     10, f->objects[i].key);
}

static void
foreseen(struct arena *a, json_t *report, const struct arm_answer *answers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		json_array_append_new(json_object_get(report, "weights"),
				      answers[i].is_in ? json_incref(answers[i].result)
						       : json_string(answers[i].status));
}

static const char *const object_secrets[] = { "key", NULL };
static const struct arm_type *const example_types[] = { &boxes, &shelves, &example_toys, NULL };
const struct arm_provider example_provider = {
	.ns = "Example.Things",
	.floor = "2015-01-01",
	.types = example_types,
	.object_secrets = object_secrets,
	.foresee = foresee,
	.foreseen = foreseen,
};
