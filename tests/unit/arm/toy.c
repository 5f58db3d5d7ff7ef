/* A type of one file: what it takes to add one. Its table is here, and one line lists it (example.c);
 * the engine does the rest, as unit-arm-hostile shows. */
#include "example.h"

static const char *const shapes[] = { "Round", "Square", NULL };

static const struct arm_prop wheel_props[] = {
	{ .name = "spokes", .kind = ARM_INT, .flags = ARM_REQUIRED, .min = 3, .max = 64 },
	{ .name = "width", .kind = ARM_NUMBER, .min = 1, .max = 9 },
	{ 0 },
};
static const struct arm_type wheels = {
	.ns = "Example.Things",
	.name = "wheels",
	.props = wheel_props,
};

static const struct arm_prop toy_top[] = {
	{ .name = "kind", .kind = ARM_STRING, .words = shapes, .def = "\"Round\"" },
	{ 0 },
};
static const struct arm_prop toy_part[] = {
	{ .name = "name", .kind = ARM_STRING, .flags = ARM_REQUIRED, .min = 1, .max = 8 },
	{ .name = "weight", .kind = ARM_INT, .min = 0, .max = 9 },
	{ 0 },
};
static const struct arm_prop toy_props[] = {
	{ .name = "shape", .kind = ARM_STRING, .words = shapes },
	{ .name = "label", .kind = ARM_STRING, .min = 2, .max = 12 },
	{ .name = "serial", .kind = ARM_STRING, .flags = ARM_FIXED, .max = 20 },
	{ .name = "age", .kind = ARM_INT, .min = 1, .max = 99 },
	{ .name = "price", .kind = ARM_NUMBER, .min = 0, .max = 1000 },
	{ .name = "loud", .kind = ARM_BOOL, .def = "true" },
	{ .name = "pin", .kind = ARM_STRING, .flags = ARM_SECRET, .max = 6 },
	{ .name = "sold", .kind = ARM_INT, .flags = ARM_READ_ONLY },
	{ .name = "words", .kind = ARM_LIST, .item = ARM_STRING, .max = 3 },
	{ .name = "parts", .kind = ARM_LIST, .item = ARM_OBJECT, .props = toy_part, .max = 4 },
	{ .name = "notes", .kind = ARM_MAP },
	{ .name = "shelf", .kind = ARM_REF, .ref_type = "Example.Things/shelves" },
	{ .name = "wheels", .kind = ARM_CHILDREN, .child = &wheels, .max = 4 },
	{ 0 },
};

static const struct arm_type *const toy_children[] = { &wheels, NULL };
const struct arm_type example_toys = {
	.ns = "Example.Things",
	.name = "toys",
	.flags = ARM_TRACKED,
	.top = toy_top,
	.props = toy_props,
	.children = toy_children,
};
