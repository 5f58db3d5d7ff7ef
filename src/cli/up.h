/* `wayleave up` and `wayleave down`. */
#pragma once

#include "cli/cli.h"

#define UP_CONTROLLER_UNDERLAY "10.255.0.250"

struct up_node {
	const char *name;
	unsigned number; /* underlay address 10.255.0.<number> */
	bool is_edge;
	const char *trunk; /* edges: the switch's end of trunk0 */
};
extern const struct up_node up_nodes[]; /* ends with a NULL name */

int up_run(struct cli *c);
int up_down(struct cli *c);
