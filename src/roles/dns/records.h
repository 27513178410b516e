/*
 * records: what stands in the records that lead mail somewhere: MX (RFC 5321 5.1, RFC 7505), TLSA
 * (RFC 6698), and the TXT records of MTA-STS (RFC 8461 3.1) and TLS-RPT (RFC 8460 3).
 *
 * Pure. The data is as on the wire, without compression, and anybody's: what is short, long or names
 * no host is left out and counted.
 */
#pragma once

#include "base/buf.h"
#include "ipc/msg.h"

#include <stdbool.h>
#include <stdint.h>

#define HOST_NAME_MAX 253 /* of a host name as text (RFC 1035 2.3.4) */

/* Letters, digits, hyphens and underscores in labels; at most 253 octets. Lower case and without a
 * dot at its end in out. An address is no name. */
bool host_name(struct str text, char out[HOST_NAME_MAX + 1]);

struct mx_list {
	uint16_t n;
	struct mx_row {
		uint16_t preference;
		char name[HOST_NAME_MAX + 1];
	} row[MX_HOSTS_MAX]; /* by preference; each name once */
	bool null_mx;        /* the only record says: no mail (RFC 7505) */
	unsigned broken;     /* records left out: no name of a host, or malformed */
	unsigned more;       /* ... because there are too many */
};
void mx_list_read(const struct str *data, size_t n, struct mx_list *ret);

/* False: it is too short, or too long. data is a view. */
bool tlsa_read(struct str data, struct msg_mx_tlsa *ret);

/* The id of the one record of MTA-STS among them, or ""; where there are two, none counts. */
void sts_id_read(const struct str *data, size_t n, struct buf *out);
/* The places for reports of the one record of TLS-RPT, as they stand there, or "". */
void rua_read(const struct str *data, size_t n, struct buf *out);
