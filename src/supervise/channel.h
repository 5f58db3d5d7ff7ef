/* Messages with descriptors over SOCK_SEQPACKET unix sockets: one message, one fixed struct. The
 * kernel keeps message borders and vouches for the peer's uid and pid. */
#pragma once

#include "base/err.h"

#include <sys/socket.h>
#include <sys/types.h>

enum { CHANNEL_FDS_MAX = 32 };

/* Listens at path (an old socket file there is replaced), mode 0600, or 0660 when it is shared with
 * the group (which a directory with the set-group-ID bit hands down). Returns the descriptor (non-blocking, close-on-exec) or a negative errno. */
int channel_listen(const char *path, bool is_shared, struct err *e);
/* The same non-blocking, already connected. -ENOENT or -ECONNREFUSED while nobody listens. */
int channel_connect(const char *path, struct err *e);
/* The next client whose uid is 0, ours or one of `others` (-1 is nobody); the rest is closed. -EAGAIN
 * when none waits. */
int channel_accept(int listener, const uid_t *others, size_t n_others, struct ucred *ret_peer,
		   struct err *e);

/* Sends whole or not at all. wait_ms bounds a full queue (0: -EAGAIN at once). Descriptors stay the
 * caller's. */
int channel_send(int fd, const void *msg, size_t n, const int *fds, size_t n_fds, int wait_ms);
/* One message. Returns its size, 0 at the peer's end, -EAGAIN when none came within wait_ms,
 * -EMSGSIZE when larger than cap. Descriptors arrive close-on-exec; fds must hold CHANNEL_FDS_MAX
 * and belong to the caller. */
ssize_t channel_recv(int fd, void *msg, size_t cap, int *fds, size_t *n_fds, int wait_ms);
