/* Our own certificates: a CA made at the first start, the servers' certificate under it (renewed
 * when it runs out or its names change), and agents' certificates from their requests.
 * All are files in one directory; keys are 0600. EC P-256. */
#pragma once

#include "base/err.h"

struct pki;
/* names: DNS names and addresses for the servers' certificate, NULL-terminated, beside localhost,
 * 127.0.0.1 and ::1. NULL: the servers' certificate is left alone (and absent). */
int pki_open(const char *dir, const char *const *names, struct pki **ret, struct err *e);
void pki_destroy(struct pki *p);
/* Reads the servers' certificate again, and renews it as pki_open() does. *ret_is_new: there is
 * another one now (the texts below are new then). From one thread only. */
int pki_refresh(struct pki *p, bool *ret_is_new, struct err *e);
CLEANUP(pki)

const char *pki_ca_pem(const struct pki *p);
const char *pki_ca_file(const struct pki *p);
const char *pki_ca_hash(const struct pki *p); /* SHA-256 of the DER, hex */
const char *pki_server_cert_pem(const struct pki *p);
const char *pki_server_key_pem(const struct pki *p);
/* A client certificate for a node, 30 days, from its PEM request (its signature is checked, its
 * subject is not used). *ret_pem is malloc()ed; hash: SHA-256 of the DER, hex, for the store. */
int pki_sign(const struct pki *p, const char *csr_pem, const char *node, char **ret_pem,
	     char hash[65], struct err *e);
