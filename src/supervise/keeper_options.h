/* The keeper's command line: all it parses besides its contract. And --check: whether this machine can
 * do what a keeper needs. */
#pragma once

#include "datapath/load.h"
#include "supervise/keeper.h"

enum { KEEPER_PORTS = 16, KEEPER_FILES = 1 << 17 };

struct keeper_options {
	const char *run, *node, *nic_pattern;
	char *pins; /* heap */
	enum datapath_role role;
	/* What children may ask for; index unused. */
	struct keeper_port ports[KEEPER_PORTS];
	size_t n_ports;
	/* Who may be edged or hostd, and who bfdd; -1: the keeper's own user. */
	uid_t daemon_uid, bfdd_uid;
	bool is_check;
};

/* -EINVAL with the usage as text. */
int keeper_options_parse(int argc, char **argv, struct keeper_options *ret, struct err *e);
void keeper_options_fini(struct keeper_options *o);
/* The port of that name, NULL when it is not among them. */
const struct keeper_port *keeper_options_port(const struct keeper_options *o, const char *ifname);
/* Prints a line for each thing looked at; 0 or 1, the program's exit status. */
int keeper_options_check(const struct keeper_options *o);
