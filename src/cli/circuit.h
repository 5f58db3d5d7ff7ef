/* Questions about a circuit's links, asked at the API: ARP, routes, sessions, counters. */
#pragma once

#include "cli/cli.h"

/* Which action, and the columns of its rows as {heading, field} pairs, NULL-terminated. */
struct circuit_question {
	const char *action;
	const char *columns[13];
};
extern const struct circuit_question circuit_arp, circuit_routes, circuit_summary;

int circuit_rows(struct cli *c); /* data: a circuit_question */
int circuit_stats(struct cli *c);
