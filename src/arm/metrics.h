/* Metrics of resources: definitions by type as tables, samples from what nodes report, and the reads of
 * Microsoft.Insights. Samples gather in memory until their slot is over, then go to the store, packed
 * by spans of 60 slots: PT1M for 48 hours, PT5M for 14 days, PT1H for 93 days. A controller that is
 * killed loses the slots it was gathering; one that is stopped does not. */
#pragma once

#include "arm/plan.h"

enum arm_metric_kind {
	ARM_METRIC_RATE, /* samples add up; shown divided by the slot's seconds; sums over dimensions */
	ARM_METRIC_STATE, /* samples are averaged, also over dimensions */
};

struct arm_metric {
	const char *name, *display, *description; /* name NULL ends a table */
	const char *unit;                         /* "BitsPerSecond", "Percent" */
	enum arm_metric_kind kind;
	const char *dims[2]; /* NULL: none */
};

/* One sample at a time of day, with its dimensions' values. target: an id. From a provider's sample()
 * only. */
void arm_metric_add(struct arm_snapshot *s, const char *target, const struct arm_metric *m,
		    const char *dim0, const char *dim1, int64_t at_us, int64_t value);
/* How much a counter that only grows has grown since it was last given, 0 for the first time; name:
 * unique in this controller. */
int64_t arm_metric_grown(struct arm_snapshot *s, const char *name, int64_t now);
