/* Versions of the catalogue. The one in the store counts: the resource
 * /providers/Wayleave.Fabric/catalogues/default holds its files, a fact beside it their digest.
 * Everybody who plans asks for the catalogue inside his transaction (network_catalogue()), so an
 * order and a new version can never miss each other, with however many controllers on a store. */
#pragma once

#include "arm/plan.h"
#include "network/catalogue.h"

#define CATALOGUE_ID "/providers/Wayleave.Fabric/catalogues/default"
#define CATALOGUE_FACT "catalogue"

enum { CATALOGUE_DIGEST = 65 };

/* Reads properties.files of a body: [{"name","text"}]. -EINVAL: e says which file and line. */
int catalogue_from_files(const json_t *files, struct catalogue **ret, char digest[CATALOGUE_DIGEST],
			 struct err *e);
/* [{"name","text"}]; a new reference. */
json_t *catalogue_to_files(const struct catalogue_text *texts, size_t n);

/* [{"change":"added"|"removed"|"changed","what","from","to"}] in order of what; a new reference. */
json_t *catalogue_diff(const struct catalogue *from, const struct catalogue *to);
/* Who uses what `to` no longer has: fn for each. */
typedef void catalogue_user_fn(void *arg, const struct arm_resource *r, const char *text);
void catalogue_users(struct arm_snapshot *s, const struct catalogue *from,
		     const struct catalogue *to, catalogue_user_fn *fn, void *arg);
