/* The sockets that the keeper makes in a namespace for others: BGP listeners and dial sockets with
 * TCP-MD5 (RFC 2385), BFD sockets (RFC 5881 4, 5883). All non-blocking, close-on-exec, DSCP CS6. */
#pragma once

#include "net/addr.h"
#include "supervise/keeper.h"

enum { SOCKETS_BGP_PORT = 179, SOCKETS_BFD_PORT = 3784, SOCKETS_BFD_MULTIHOP_PORT = 4784 };

/* All return a descriptor or a negative errno. */
int sockets_listen(int ns_fd, const struct addr *local, uint8_t min_ttl, struct err *e);
/* Unconnected; bound to local with a port of the kernel's choice. */
int sockets_dial(int ns_fd, const struct keeper_dial *d, struct err *e);
/* Reports TTL and destination with each packet. */
int sockets_bfd_rx(int ns_fd, const struct addr *local, bool is_multihop, struct err *e);
/* TTL 255, source port 49152..65535 */
int sockets_bfd_tx(int ns_fd, const struct addr *local, struct err *e);

/* The key for one peer of a TCP socket; an empty key removes it. Also on live listeners. */
int sockets_key(int fd, const struct addr *peer, const struct keeper_key *key, struct err *e);
