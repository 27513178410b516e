/* Records of DNS that lead mail somewhere: the input is cut into records by an octet of length.
 * What is taken must be as the messages want it. */
#include "roles/dns/records.h"

#include "base/check.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define RECORDS 64

static void
put_host(struct buf *b, const struct mx_row *row, const struct str *data, size_t n)
{
	struct buf tlsas = BUF_INIT(1u << 20);
	struct msg_mx_host h = { .preference = row->preference, .name = str_of(row->name) };
	for (size_t i = 0; i < n && h.n_tlsa < MX_TLSA_MAX; i++) {
		struct msg_mx_tlsa t;
		if (!tlsa_read(data[i], &t))
			continue;
		msg_mx_tlsa_put(&tlsas, &t);
		h.n_tlsa++;
	}
	h.tlsas = buf_str(&tlsas);
	msg_mx_host_put(b, &h);
	buf_done(&tlsas);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct str rest = str_n(p, n), data[RECORDS];
	struct buf hosts = BUF_INIT(4u << 20), id = BUF_INIT(32), rua = BUF_INIT(1024),
		   out = BUF_INIT(8u << 20);
	struct mx_list l;
	struct msg_mx m = { .verdict = MX_NO_HOST };
	size_t count = 0;
	while (rest.len && count < RECORDS) {
		size_t len = (unsigned char)rest.p[0];
		rest = str_skip(rest, 1);
		data[count++] = str_first(rest, len);
		rest = str_skip(rest, len);
	}
	mx_list_read(data, count, &l);
	check(!l.null_mx || l.n == 0);
	for (uint16_t i = 0; i < l.n; i++) {
		check(i == 0 || l.row[i - 1].preference <= l.row[i].preference);
		put_host(&hosts, &l.row[i], data, count);
		m.verdict = MX_OK;
	}
	sts_id_read(data, count, &id);
	rua_read(data, count, &rua);
	m.n = l.n;
	m.hosts = buf_str(&hosts);
	m.sts_id = buf_str(&id);
	m.rua = buf_str(&rua);
	msg_mx_put(&out, &m);
	check(!hosts.failed && !id.failed && !rua.failed && !out.failed);
	check(msg_mx_get(buf_str(&out), &m));
	buf_done(&hosts);
	buf_done(&id);
	buf_done(&rua);
	buf_done(&out);
	return 0;
}
