/* message/delivery-status (RFC 3464 2) and message/global-delivery-status (RFC 6533 4). */
#include "mail/report_priv.h"

#include "base/check.h"
#include "base/date.h"
#include "base/utf8.h"
#include "mail/xtext.h"

#define LINE_MAX_OCTETS 900u /* of a line; what is longer is folded */

static const struct str action_name[REPORT_ACTIONS] = {
	[REPORT_FAILED] = { "failed", 6 },
	[REPORT_DELAYED] = { "delayed", 7 },
	[REPORT_DELIVERED] = { "delivered", 9 },
	[REPORT_RELAYED] = { "relayed", 7 },
	[REPORT_EXPANDED] = { "expanded", 8 },
};

void
report_clean(struct buf *out, struct str text, bool ascii)
{
	bool valid = !ascii && utf8_valid(text);
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if (c < ' ' || c == 0x7f)
			buf_putc(out, ' ');
		else
			buf_putc(out, c < 0x80 || valid ? (char)c : '?');
	}
}

static void
put_field(struct buf *out, const char *name, const char *type, struct str value, bool global)
{
	if (value.len == 0)
		return;
	buf_putf(out, "%s: %s", name, type);
	report_clean(out, str_first(value, LINE_MAX_OCTETS), !global);
	buf_putz(out, "\r\n");
}

static void
put_date(struct buf *out, const char *name, int64_t sec, int zone)
{
	if (sec <= 0)
		return;
	buf_putf(out, "%s: ", name);
	date_rfc5322(out, sec, zone);
	buf_putz(out, "\r\n");
}

/* RFC 6533 3: where only ASCII may stand, an address has its form of ASCII. */
static void
put_address(struct buf *out, const char *name, struct str address, bool global)
{
	struct buf ascii = BUF_INIT(8192);
	if (utf8_is_ascii(address) || !utf8_valid(address)) {
		put_field(out, name, "rfc822;", address, false);
	} else if (global) {
		put_field(out, name, "utf-8;", address, true);
	} else {
		xtext_utf8_put(&ascii, address);
		put_field(out, name, "utf-8;", buf_str(&ascii), false);
	}
	buf_done(&ascii);
}

static bool
is_printable(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return s.len > 0;
}

/* RFC 3464 2.3.1: what the sender gave, decoded; as it is where that cannot stand in a field. */
static void
put_original(struct buf *out, struct str orcpt, bool global)
{
	struct buf address = BUF_INIT(4096), utf8 = BUF_INIT(4096);
	struct str rest = orcpt, type = str_cut(&rest, ';');
	if (type.len == 0 || rest.len == 0)
		return;
	if (!xtext_decode(&address, rest)) {
		buf_reset(&address);
		buf_puts(&address, rest);
	}
	bool is_utf8 = str_ieq(type, STR("utf-8"));
	if (is_utf8 && xtext_utf8_decode(&utf8, buf_str(&address)) &&
	    is_printable(buf_str(&utf8))) {
		put_address(out, "Original-Recipient", buf_str(&utf8), global);
	} else if (is_printable(buf_str(&address)) && utf8_is_ascii(buf_str(&address))) {
		buf_putz(out, "Original-Recipient: ");
		report_clean(out, type, true);
		buf_putc(out, ';');
		report_clean(out, str_first(buf_str(&address), LINE_MAX_OCTETS), true);
		buf_putz(out, "\r\n");
	}
	buf_done(&address);
	buf_done(&utf8);
}

struct str
report_said(const struct report_rcpt *q)
{
	struct str s = q->status;
	bool fits = s.len > 0 && q->code / 100 == s.p[0] - '0';
	return fits && !str_ends(s, STR(".0.0")) && !str_starts(q->text, s) ? s : STR_NULL;
}

static void
put_code(struct buf *out, const struct report_rcpt *q)
{
	struct str said = report_said(q);
	buf_putf(out, "Diagnostic-Code: smtp; %d%s", q->code % 1000, said.len ? " " : "");
	report_clean(out, said, true);
}

/* "smtp; 550 5.1.1 no such user": a reply of several lines is folded (RFC 3464 2.3.6). */
static void
put_diagnostic(struct buf *out, const struct report_rcpt *q, bool global)
{
	struct str rest = q->text;
	if (rest.len == 0 && q->code == 0)
		return;
	if (q->code > 0)
		put_code(out, q);
	else
		buf_putz(out, "Diagnostic-Code: x-pennypost;");
	for (size_t lines = 0; rest.p && lines < 20; lines++) {
		struct str line = str_trim(str_cut(&rest, '\n'));
		if (line.len == 0)
			continue;
		buf_putz(out, lines > 0 ? "\r\n " : " ");
		report_clean(out, str_first(line, LINE_MAX_OCTETS), !global);
	}
	buf_putz(out, "\r\n");
}

/* RFC 3464 2.3.4: there is always one. */
static struct str
status_of(const struct report_rcpt *q)
{
	static const struct str other[REPORT_ACTIONS] = {
		[REPORT_FAILED] = { "5.0.0", 5 },
		[REPORT_DELAYED] = { "4.0.0", 5 },
		[REPORT_DELIVERED] = { "2.0.0", 5 },
		[REPORT_RELAYED] = { "2.0.0", 5 },
		[REPORT_EXPANDED] = { "2.0.0", 5 },
	};
	return q->status.len > 0 ? q->status : other[q->action];
}

static void
put_rcpt(struct buf *out, const struct report *r, const struct report_rcpt *q, bool global)
{
	bool over = q->action != REPORT_DELAYED;
	buf_putz(out, "\r\n");
	put_original(out, q->orcpt, global);
	put_address(out, "Final-Recipient", q->final, global);
	put_field(out, "Action", "", action_name[q->action], false);
	put_field(out, "Status", "", status_of(q), false);
	put_field(out, "Remote-MTA", "dns; ", q->mta, false);
	put_diagnostic(out, q, global);
	put_date(out, "Last-Attempt-Date", q->last_attempt, r->zone);
	put_date(out, "Will-Retry-Until", over ? 0 : q->will_retry_until, r->zone);
}

void
report_status_put(struct buf *out, const struct report *r, bool global)
{
	struct buf envid = BUF_INIT(1024);
	put_field(out, "Reporting-MTA", "dns; ", r->host, global);
	bool decoded = xtext_decode(&envid, r->envid) && is_printable(buf_str(&envid)) &&
	               utf8_is_ascii(buf_str(&envid));
	put_field(out, "Original-Envelope-Id", "", decoded ? buf_str(&envid) : r->envid, false);
	put_field(out, "X-Pennypost-Queue-ID", "", r->qid, false);
	put_date(out, "Arrival-Date", r->arrived, r->zone);
	for (size_t i = 0; i < r->n; i++)
		put_rcpt(out, r, &r->rcpt[i], global);
	buf_done(&envid);
}
