/* A report about any letter, reply and envelope: its lines are lines, its parts are the three it
 * was meant to have, and the reader finds the recipients that were told, no more. */
#include "base/check.h"
#include "base/wire.h"
#include "mail/mime.h"
#include "mail/report.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
on_end(void *arg, struct mime_part *p)
{
	if (p->index == 0)
		*(uint32_t *)arg = p->children;
}

static void
judge(struct str out, const struct report *r)
{
	const struct mime_sink sink = { .end = on_end };
	uint32_t children = 0;
	struct mime_walk *w = mime_walk_new(&sink, &children, MIME_FIELD_MAX);
	mime_walk_feed(w, out);
	mime_walk_end(w);
	mime_walk_free(w);
	check(children == 2 || (children == 3 && r->letter.len > 0));
	size_t line = 0;
	for (size_t i = 0; i < out.len; i++) {
		line = out.p[i] == '\n' ? 0 : line + 1;
		check(line <= 999 && out.p[i] != '\0');
		if (out.p[i] == '\r' || out.p[i] == '\n')
			check(out.p[i] == '\r' ? i + 1 < out.len && out.p[i + 1] == '\n'
					       : i > 0 && out.p[i - 1] == '\r');
	}
}

static void
build(struct wire w)
{
	struct report_rcpt q[4];
	uint8_t flags = get_u8(&w);
	struct report r = { .utf8 = flags & 1,
		.full = flags & 2,
		.copy = flags & 16,
		.rcpt = q,
		.n = flags >> 2 & 3,
		.now = get_u32(&w),
		.arrived = get_u32(&w),
		.id = STR("id") };
	struct str *const texts[] = { &r.host, &r.to, &r.postmaster, &r.qid, &r.envid };
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		*texts[i] = get_bytes(&w, get_u8(&w));
	for (size_t i = 0; i < r.n; i++) {
		q[i] = (struct report_rcpt){ .action = get_u8(&w) % REPORT_ACTIONS,
			.code = get_u16(&w) % 1000,
			.will_retry_until = get_u32(&w) };
		struct str *const each[] = { &q[i].final, &q[i].orcpt, &q[i].status, &q[i].mta,
			&q[i].text };
		for (size_t j = 0; j < ARRAY_LEN(each); j++)
			*each[j] = get_bytes(&w, get_u8(&w));
	}
	r.letter = get_rest(&w);
	struct buf out = BUF_INIT(16u << 20);
	check(report_put(&out, &r));
	judge(buf_str(&out), &r);
	struct report_reader reader;
	struct report_seen s;
	size_t seen = 0, all = 0;
	/* Behind the boundary the letter may look like a report itself. */
	struct str status =
	    str_skip(buf_str(&out), str_find_str(buf_str(&out), STR("\r\nReporting-MTA:")));
	status = str_first(status, str_find_str(status, STR("\r\n--=_")));
	report_read_begin(&reader, status);
	for (size_t i = 0; i < r.n; i++)
		all += str_trim(q[i].final).len > 0;
	while (report_read(&reader, &s))
		seen++;
	check(seen <= r.n && (r.host.len == 0 || seen <= all));
	buf_done(&out);
}

static void
read_any(struct str text)
{
	struct report_reader reader;
	struct report_seen s;
	size_t n = 0;
	report_read_begin(&reader, text);
	while (report_read(&reader, &s)) {
		const struct str views[] = { s.orcpt, s.final, s.action, s.status, s.mta, s.diag,
			s.last_attempt, s.retry_until };
		for (size_t i = 0; i < ARRAY_LEN(views); i++)
			check(views[i].len == 0 ||
			      (views[i].p >= text.p &&
				  views[i].p + views[i].len <= text.p + text.len));
		check(++n <= text.len);
	}
	check(!report_read(&reader, &s));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 1)
		return 0;
	if (data[0] & 1)
		build(wire_of(str_n(data + 1, n - 1)));
	else
		read_any(str_n(data + 1, n - 1));
	return 0;
}
