#include "client/transcript.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/utf8.h"
#include "client/show.h"
#include "client/transcript_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const formats[] = {
	[TRANSCRIPT_TELNET] = "telnet",
	[TRANSCRIPT_CONV] = "conv",
	[TRANSCRIPT_JSON] = "json",
	[TRANSCRIPT_HTML] = "html",
};

bool
transcript_format_find(struct str name, enum transcript_format *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		if (!str_ieq(name, str_of(formats[i])))
			continue;
		*ret = (enum transcript_format)i;
		return true;
	}
	return false;
}

int
transcript_open(struct transcript *t, const char *path, enum transcript_format format)
{
	t->format = format;
	t->to = stdout;
	bool is_file = path && strcmp(path, "-") != 0;
	if (is_file) {
		/* Letters are nobody else's business. */
		int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
		t->to = fd < 0 ? NULL : fdopen(fd, "a");
		if (!t->to) {
			int error = -errno;
			if (fd >= 0)
				close(fd);
			return error;
		}
	}
	struct transcript_kept *kept = xalloc(sizeof(*kept));
	kept->line = BUF_INIT(TRANSCRIPT_LINE_MAX);
	kept->goes_on = is_file && fseek(t->to, 0, SEEK_END) == 0 && ftell(t->to) > 0;
	t->kept = kept;
	return 0;
}

int
transcript_close(struct transcript *t)
{
	struct transcript_kept *kept = t->kept;
	struct buf out = BUF_INIT(SIZE_MAX / 2);

	if (!t->to)
		return 0;
	if (t->format == TRANSCRIPT_CONV && kept)
		transcript_conv_flush(t, &out);
	else if (kept && kept->in_line && t->format == TRANSCRIPT_HTML)
		buf_putz(&out, "</div>\n");
	else if (kept && kept->in_line)
		buf_putc(&out, '\n');
	if (out.len)
		fwrite(out.p, 1, out.len, t->to);
	buf_done(&out);
	bool bad = fflush(t->to) != 0 || ferror(t->to);
	int error = t->failed ? t->error : bad ? errno : 0;
	if (t->to != stdout && fclose(t->to) != 0 && error == 0)
		error = errno;
	if (kept) {
		buf_wipe(&kept->line);
		buf_done(&kept->line);
	}
	free(kept);
	*t = (struct transcript){ 0 };
	return error > 0 ? -error : error;
}

struct str
transcript_octets(const struct event *e, bool show_secrets)
{
	return e->masked.p && !show_secrets ? e->masked : e->octets;
}

/* --- telnet ------------------------------------------------------------------------------- */

static void
telnet_octets(struct transcript *t, struct buf *out, struct str octets, bool send)
{
	struct transcript_kept *k = t->kept;

	if (k->in_line && k->in_send != send) {
		buf_putc(out, '\n');
		k->in_line = false;
	}
	while (octets.len) {
		size_t lf = str_find(octets, '\n');
		struct str line = str_first(octets, lf);
		bool whole = lf < octets.len;
		if (!k->in_line)
			buf_putz(out, send ? t->us : t->them);
		if (whole && line.len && line.p[line.len - 1] == '\r')
			line.len--;
		show_escape(out, line);
		if (whole)
			buf_putc(out, '\n');
		k->in_line = !whole;
		k->in_send = send;
		octets = str_skip(octets, lf + whole);
	}
}

static void
telnet_masked(struct transcript *t, struct buf *out, const struct event *e, bool send)
{
	struct transcript_kept *k = t->kept;

	telnet_octets(t, out, transcript_octets(e, t->show_secrets), send);
	/* What stands for a secret has no end of its own. */
	if (e->masked.p && k->in_line) {
		buf_putc(out, '\n');
		k->in_line = false;
	}
}

static void
telnet_text(struct transcript *t, struct buf *out, const char *lead, struct str text,
    const char *end)
{
	struct transcript_kept *k = t->kept;

	if (k->in_line)
		buf_putc(out, '\n');
	k->in_line = false;
	buf_putz(out, lead);
	show_escape(out, text);
	buf_putz(out, end);
}

static void
telnet(struct transcript *t, struct buf *out, const struct event *e)
{
	if (e->kind == EVENT_SEND || e->kind == EVENT_LINE)
		telnet_masked(t, out, e, e->kind == EVENT_SEND);
	else if (e->kind == EVENT_TRYING)
		telnet_text(t, out, "Trying ", e->text, "...\n");
	else if (e->kind == EVENT_CONNECT)
		telnet_text(t, out, "Connected to ", e->text, ".\nEscape character is '^]'.\n");
	else if (e->kind == EVENT_TLS)
		telnet_text(t, out, "#  ", e->text, "\n");
	else if (e->kind == EVENT_CLOSE)
		telnet_text(t, out, "", e->text, "\n");
}

/* --- html --------------------------------------------------------------------------------- */

#define HTML_HEAD                                                                                  \
	"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"                  \
	"<title>A conversation</title>\n<style>\n"                                                 \
	"body { font-family: monospace; background: #fff; color: #000 }\n"                         \
	"div { white-space: pre-wrap; overflow-wrap: anywhere }\n"                                 \
	".c { color: #00c }\n.s { color: #c00 }\n.n { color: #666 }\n"                             \
	"</style>\n</head>\n<body>\n"

static void
html_escape(struct buf *out, struct str text)
{
	struct buf shown = BUF_INIT(SIZE_MAX / 2);

	show_escape(&shown, text);
	for (size_t i = 0; i < shown.len; i++) {
		char c = shown.p[i];
		if (c == '<')
			buf_putz(out, "&lt;");
		else if (c == '>')
			buf_putz(out, "&gt;");
		else if (c == '&')
			buf_putz(out, "&amp;");
		else if (c == '"')
			buf_putz(out, "&quot;");
		else
			buf_putc(out, c);
	}
	buf_done(&shown);
}

static void
html_end(struct transcript *t, struct buf *out)
{
	struct transcript_kept *k = t->kept;

	if (k->in_line)
		buf_putz(out, "</div>\n");
	k->in_line = false;
}

static void
html_octets(struct transcript *t, struct buf *out, struct str octets, bool send)
{
	struct transcript_kept *k = t->kept;

	if (k->in_send != send)
		html_end(t, out);
	while (octets.len) {
		size_t lf = str_find(octets, '\n');
		struct str line = str_first(octets, lf);
		bool whole = lf < octets.len;
		if (!k->in_line) {
			buf_putf(out, "<div class=\"%c\">", send ? 'c' : 's');
			html_escape(out, str_of(send ? t->us : t->them));
		}
		if (whole && line.len && line.p[line.len - 1] == '\r')
			line.len--;
		html_escape(out, line);
		k->in_line = true;
		k->in_send = send;
		if (whole)
			html_end(t, out);
		octets = str_skip(octets, lf + whole);
	}
}

static void
html_note(struct transcript *t, struct buf *out, const char *lead, struct str text, const char *end)
{
	html_end(t, out);
	buf_putf(out, "<div class=\"n\">%s", lead);
	html_escape(out, text);
	buf_putf(out, "%s</div>\n", end);
}

static void
html(struct transcript *t, struct buf *out, const struct event *e)
{
	const struct transcript_kept *k = t->kept;

	if (!t->begun && !k->goes_on)
		buf_putz(out, HTML_HEAD);
	switch (e->kind) {
	case EVENT_SEND:
	case EVENT_LINE:
		html_octets(t, out, transcript_octets(e, t->show_secrets), e->kind == EVENT_SEND);
		if (e->masked.p)
			html_end(t, out);
		return;
	case EVENT_TRYING:
		html_note(t, out, "Trying ", e->text, "...");
		return;
	case EVENT_CONNECT:
		html_note(t, out, "Connected to ", e->text, ".");
		return;
	case EVENT_TLS:
	case EVENT_NOTE:
	case EVENT_WARN:
	case EVENT_RESULT:
		if (e->text.len)
			html_note(t, out, "#  ", e->text, "");
		return;
	case EVENT_CLOSE:
		html_note(t, out, "", e->text, "");
		return;
	case EVENT_RESOLVE:
	case EVENT_REPLY:
	case EVENT_KINDS:
		return;
	}
}

/* --- */

void
transcript_event(void *arg, const struct event *e)
{
	struct transcript *t = arg;
	struct buf out = BUF_INIT(SIZE_MAX / 2);

	if (t->failed || !t->to)
		return;
	if (!t->us || !t->them)
		t->us = t->them = "";
	if (t->format == TRANSCRIPT_TELNET)
		telnet(t, &out, e);
	else if (t->format == TRANSCRIPT_HTML)
		html(t, &out, e);
	else if (t->format == TRANSCRIPT_CONV)
		transcript_conv(t, &out, e);
	if (t->format == TRANSCRIPT_JSON) {
		transcript_json(&out, e, t->show_secrets);
		buf_putc(&out, '\n');
	}
	t->begun = true;
	if ((out.len && fwrite(out.p, 1, out.len, t->to) != out.len) ||
	    (!e->content && fflush(t->to) != 0) || out.failed) {
		t->failed = true;
		t->error = out.failed ? ENOMEM : errno;
	}
	buf_wipe(&out);
	buf_done(&out);
}
