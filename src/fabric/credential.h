/* An agent's key and certificate on disk: PEM files, the key 0600. The certificate is replaced whole
 * and the key stays, so the two belong together at every moment. */
#pragma once

#include "base/err.h"

enum credential_state {
	CREDENTIAL_NONE, /* one of the files is missing or cannot be read */
	CREDENTIAL_GOOD,
	CREDENTIAL_DUE, /* two thirds of its life are over */
	CREDENTIAL_EXPIRED,
};
enum credential_state credential_state(const char *cert_file, const char *key_file, int64_t utc_us);
/* A request with that CN for the key in key_file, which is made (P-256) if there is none. *ret: PEM,
 * the caller's. */
int credential_request(const char *key_file, const char *cn, char **ret, struct err *e);
/* Writes a PEM file: temporary, fsync, rename. */
int credential_write(const char *path, const char *text, size_t n, struct err *e);
