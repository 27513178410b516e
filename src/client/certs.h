/* certs: the certificates that the other side has shown, for people: --show-certs, /tls. */
#pragma once

#include "client/link.h"

/* Appends, for each: subject, names, issuer, dates, key and pin; pem: and the certificate itself. At
 * the end what they are worth: good for the name, or why not. */
void certs_text(const struct link *l, bool pem, struct buf *out);
/* What the server says of the revocation of its certificate (conf->tls.ocsp asked for it). */
void certs_ocsp(const struct link *l, struct buf *out);
