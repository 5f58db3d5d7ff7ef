/* A worked example of a provider: boxes with lids inside, and shelves that boxes stand on. */
#pragma once

#include "arm/type.h"

extern const struct arm_provider example_provider;
extern const struct arm_metric example_metrics[]; /* of boxes */
extern const struct arm_type example_toys;        /* toy.c */
