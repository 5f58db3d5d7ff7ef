/* The controller's listeners: HTTP words end here.
 *
 * libmicrohttpd does TLS and HTTP in threads of its own (epoll). A request is suspended as soon as
 * its body is in, handled by a pool of workers (which may block on the store), and resumed with its
 * answer. An agent's poll without news waits suspended, without a thread, until its node's objects
 * change or its time is over. So does an event stream between events (streams.h).
 *
 * Two kinds of listener: the API (TLS), and the agents' (TLS with client certificates, except for
 * enrolment).
 */
#pragma once

#include "arm/engine.h"
#include "http/nodes.h"
#include "identity/identity.h"

struct http_server;

struct http_config {
	struct arm_engine *engine;
	struct identity *identity;
	struct store *store;
	struct nodes *nodes;
	const struct pki *pki;
	const int *api_fds; /* listening sockets, ended by -1; the server's from now on */
	const int *agent_fds;
	unsigned n_workers;       /* 0: 8 */
	unsigned max_connections; /* per listener; 0: 12000 */
	unsigned max_per_address; /* of the API's; 0: 256 */
	unsigned max_streams;     /* open event streams of one principal; 0: 100 */
};

int http_server_start(const struct http_config *cfg, struct http_server **ret, struct err *e);
/* Answers what waits, ends all connections, joins all threads. NULL is fine. */
void http_server_stop(struct http_server *s);
/* Polls whose time is over, arm_tick(). Call every 200 ms or so. */
void http_server_tick(struct http_server *s);
/* New connections get the servers' certificate that pki has now. From one thread only. */
int http_server_reload(struct http_server *s, struct err *e);
/* arm_config.node_changed: wakes the node's parked poll. Safe from any thread, cheap. s may be
 * stopped but not freed. */
void http_server_wake(struct http_server *s, const char *node);
