/* An event as a line of JSON. */
#include "base/base64.h"
#include "base/utf8.h"
#include "client/show_priv.h"
#include "client/transcript.h"

#include <inttypes.h>

/* RFC 8259 7: beyond U+FFFF as a pair of surrogates. */
static void
put_escaped(struct buf *out, uint32_t v)
{
	if (v < 0x10000)
		buf_putf(out, "\\u%04x", v);
	else
		buf_putf(out, "\\u%04x\\u%04x", 0xd800 + ((v - 0x10000) >> 10),
		    0xdc00 + ((v - 0x10000) & 0x3ff));
}

static void
put_string(struct buf *out, struct str s)
{
	buf_putc(out, '"');
	while (s.len) {
		uint32_t v = 0xfffd;
		size_t n = show_character(s, &v);
		if (v == '"' || v == '\\')
			buf_putf(out, "\\%c", (char)v);
		else if (v == '\r' || v == '\n')
			buf_putz(out, v == '\r' ? "\\r" : "\\n");
		else if (n == 0 || v < 0x20 || (v >= 0x7f && v < 0xa0) || show_is_hidden(v))
			put_escaped(out, v);
		else
			buf_puts(out, str_first(s, n));
		s = str_skip(s, n ? n : 1);
	}
	buf_putc(out, '"');
}

static void
put_member(struct buf *out, const char *name, struct str value)
{
	buf_putf(out, ",\"%s\":", name);
	put_string(out, value);
}

static void
put_octets(struct buf *out, const struct event *e, bool show_secrets)
{
	bool secret = e->masked.p && !show_secrets;
	struct str octets = secret ? e->masked : e->octets;

	put_member(out, "text", octets);
	if (secret)
		buf_putz(out, ",\"masked\":true");
	if (e->content)
		buf_putz(out, ",\"content\":true");
	if (utf8_valid(octets))
		return;
	/* The text has lost what is no UTF-8. */
	buf_putz(out, ",\"raw\":\"");
	base64_enc(out, octets);
	buf_putc(out, '"');
}

static void
put_reply(struct buf *out, const struct event *e)
{
	struct str rest = e->text;

	if (e->code)
		buf_putf(out, ",\"code\":%d", e->code);
	if (e->enhanced.len)
		put_member(out, "enh", e->enhanced);
	buf_putz(out, ",\"lines\":[");
	for (bool first = true; rest.p; first = false) {
		buf_putz(out, first ? "" : ",");
		put_string(out, str_cut(&rest, '\n'));
	}
	buf_putf(out, "],\"ms\":%" PRId64 ".%03" PRId64, e->took_us / 1000, e->took_us % 1000);
}

static void
put_head(struct buf *out, const struct event *e, const char *name)
{
	buf_putf(out, "{\"t\":%" PRId64 ".%06" PRId64 ",\"ev\":\"%s\"", e->us / 1000000,
	    e->us % 1000000, name);
	if (e->step)
		put_member(out, "step", str_of(e->step));
}

void
transcript_json_meaning(struct buf *out, const struct event *reply, struct str meaning)
{
	put_head(out, reply, "explain");
	if (reply->code)
		buf_putf(out, ",\"code\":%d", reply->code);
	if (reply->enhanced.len)
		put_member(out, "enh", reply->enhanced);
	put_member(out, "text", meaning);
	buf_putc(out, '}');
}

void
transcript_json(struct buf *out, const struct event *e, bool show_secrets)
{
	put_head(out, e, event_kind_name[e->kind]);
	if (e->kind == EVENT_SEND || e->kind == EVENT_LINE)
		put_octets(out, e, show_secrets);
	else if (e->kind == EVENT_REPLY)
		put_reply(out, e);
	else if (e->text.len)
		put_member(out, "text", e->text);
	if (e->kind == EVENT_RESULT || e->kind == EVENT_CLOSE || e->kind == EVENT_TLS)
		buf_putf(out, ",\"status\":%d", e->status);
	buf_putc(out, '}');
}
