/* A day as others read it: JSON, and the letter around it. */
#include "mail/tlsrpt_priv.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/date.h"
#include "base/utf8.h"

#include <inttypes.h>

#define BASE64_LINE 57u /* octets that make a line of 76 */

/* --- JSON (RFC 8259) --- */

static void
put_string(struct buf *b, struct str s)
{
	bool fine = utf8_valid(s);
	buf_putc(b, '"');
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == '"' || c == '\\')
			buf_putf(b, "\\%c", c);
		else if (c < ' ' || c == 0x7f)
			buf_putf(b, "\\u%04x", c);
		else
			buf_putc(b, c < 0x80 || fine ? (char)c : '?');
	}
	buf_putc(b, '"');
}

static void
put_member(struct buf *b, const char *before, const char *name, const char *value)
{
	buf_putf(b, "%s\"%s\":", before, name);
	put_string(b, str_of(value));
}

static void
put_array(struct buf *b, const char *name, const char *lines)
{
	struct str rest = str_of(lines);
	buf_putf(b, ",\"%s\":[", name);
	for (bool first = true; rest.p && rest.len;) {
		struct str one = str_rtrim(str_cut(&rest, '\n'));
		if (one.len == 0)
			continue;
		if (!first)
			buf_putc(b, ',');
		put_string(b, one);
		first = false;
	}
	buf_putc(b, ']');
}

static void
put_detail(struct buf *b, const struct tlsrpt_detail *t)
{
	const struct {
		const char *name, *value;
	} rows[] = {
		{ "sending-mta-ip", t->own_ip },
		{ "receiving-mx-hostname", t->mx },
		{ "receiving-mx-helo", t->helo },
		{ "receiving-ip", t->ip },
		{ "failure-reason-code", t->why },
	};
	put_member(b, "{", "result-type", tlsrpt_result_name[t->result]);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].value[0])
			put_member(b, ",", rows[i].name, rows[i].value);
	buf_putf(b, ",\"failed-session-count\":%" PRIu64 "}", t->count);
}

static void
put_under(struct buf *b, const struct tlsrpt_day *d, const struct tlsrpt_under *u)
{
	put_member(b, "{\"policy\":{", "policy-type", tlsrpt_policy_name[u->policy]);
	if (u->policy != TLSRPT_NO_POLICY)
		put_array(b, "policy-string", u->text);
	put_member(b, ",", "policy-domain", d->domain);
	if (u->policy == TLSRPT_STS)
		put_array(b, "mx-host", u->mx);
	buf_putf(b,
	    "},\"summary\":{\"total-successful-session-count\":%" PRIu64
	    ",\"total-failure-session-count\":%" PRIu64 "}",
	    u->good, u->bad);
	for (size_t i = 0; i < u->n; i++) {
		buf_putz(b, i == 0 ? ",\"failure-details\":[" : ",");
		put_detail(b, &u->detail[i]);
	}
	buf_putz(b, u->n ? "]}" : "}");
}

/* Without fractions of seconds, as the examples of RFC 8460 have it. */
static void
put_time(struct buf *b, const char *name, int64_t sec)
{
	struct date t = date_of(sec, 0);
	buf_putf(b, "\"%s\":\"%04d-%02d-%02dT%02d:%02d:%02dZ\"", name, t.year, t.mon, t.day, t.hour,
	    t.min, t.sec);
}

void
tlsrpt_report_put(struct buf *out, const struct tlsrpt_day *d, const struct tlsrpt_sender *s)
{
	buf_putz(out, "{\"organization-name\":");
	put_string(out, s->organization);
	buf_putz(out, ",\"date-range\":{");
	put_time(out, "start-datetime", d->begin);
	buf_putc(out, ',');
	put_time(out, "end-datetime", tlsrpt_day_end(d) - 1);
	buf_putz(out, "},\"contact-info\":");
	put_string(out, s->contact);
	buf_putz(out, ",\"report-id\":");
	put_string(out, s->id);
	buf_putz(out, ",\"policies\":[");
	for (size_t i = 0; i < d->n; i++) {
		if (i)
			buf_putc(out, ',');
		put_under(out, d, d->under[i]);
	}
	buf_putz(out, "]}");
}

/* --- the letter --- */

void
tlsrpt_file_name(struct buf *out, const struct tlsrpt_day *d, const struct tlsrpt_sender *s)
{
	buf_putf(out, STR_FMT "!%s!%" PRId64 "!%" PRId64 "!" STR_FMT ".json.gz", STR_ARG(s->host),
	    d->domain, d->begin, tlsrpt_day_end(d) - 1, STR_ARG(s->id));
}

static void
put_header(struct buf *out, const struct tlsrpt_day *d, const struct tlsrpt_sender *s,
    struct str to)
{
	buf_putf(out, "From: " STR_FMT "\r\nDate: ", STR_ARG(s->contact));
	date_rfc5322(out, s->now, 0);
	buf_putf(out, "\r\nTo: " STR_FMT "\r\n", STR_ARG(to));
	buf_putf(out,
	    "Subject: Report Domain: %s\r\n Submitter: " STR_FMT "\r\n Report-ID: <" STR_FMT
	    "@" STR_FMT ">\r\n",
	    d->domain, STR_ARG(s->host), STR_ARG(s->id), STR_ARG(s->host));
	buf_putf(out, "Message-ID: <" STR_FMT "@" STR_FMT ">\r\n", STR_ARG(s->id),
	    STR_ARG(s->host));
	buf_putf(out, "TLS-Report-Domain: %s\r\nTLS-Report-Submitter: " STR_FMT "\r\n", d->domain,
	    STR_ARG(s->host));
	/* What keeps letters from arriving must not keep back the report about it (RFC 8689 5). */
	buf_putz(out,
	    "TLS-Required: No\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n");
	buf_putf(out,
	    "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n boundary=\"=_" STR_FMT
	    "\"\r\n\r\n",
	    STR_ARG(s->id));
}

static void
put_base64(struct buf *out, struct str octets)
{
	while (octets.len) {
		base64_enc(out, str_first(octets, BASE64_LINE));
		buf_putz(out, "\r\n");
		octets = str_skip(octets, BASE64_LINE);
	}
}

void
tlsrpt_letter_put(struct buf *out, const struct tlsrpt_day *d, const struct tlsrpt_sender *s,
    struct str to, struct str gz)
{
	put_header(out, d, s, to);
	buf_putf(out, "--=_" STR_FMT "\r\nContent-Type: text/plain; charset=\"us-ascii\"\r\n\r\n",
	    STR_ARG(s->id));
	buf_putf(out,
	    "This is an aggregate TLS report about %s\r\nfrom " STR_FMT " (RFC 8460): %" PRIu64
	    " connections were\r\nas they should be, %" PRIu64
	    " were not. What follows is JSON behind gzip.\r\n\r\n",
	    d->domain, STR_ARG(s->host), d->good, d->bad);
	buf_putf(out,
	    "--=_" STR_FMT "\r\nContent-Type: application/tlsrpt+gzip\r\n"
	    "Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment;\r\n filename=\"",
	    STR_ARG(s->id));
	tlsrpt_file_name(out, d, s);
	buf_putz(out, "\"\r\n\r\n");
	put_base64(out, gz);
	buf_putf(out, "--=_" STR_FMT "--\r\n", STR_ARG(s->id));
}
