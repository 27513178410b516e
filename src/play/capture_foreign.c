/* Transcripts of our own as JSON and HTML. They are decoded in place: nothing becomes longer. */
#include "base/check.h"
#include "play/capture_priv.h"

#include <jansson.h>

/* Text of ours with escapes taken back, where src stood: dst never overtakes it. */
static struct str
put_back(struct str src, const char *text, size_t n)
{
	char *to = (char *)(uintptr_t)src.p;
	size_t len = MIN(n, src.len);

	memmove(to, text, len);
	while (len && (to[len - 1] == '\n' || to[len - 1] == '\r'))
		len--;
	return str_n(to, len);
}

static void
json_line(struct capture_parser *p, struct str line)
{
	json_t *o = json_loadb(line.p, line.len, 0, NULL);
	const char *ev = json_string_value(json_object_get(o, "ev"));
	const json_t *text = json_object_get(o, "text");

	if (ev && (strcmp(ev, "send") == 0 || strcmp(ev, "line") == 0) && json_is_string(text)) {
		struct str s = put_back(line, json_string_value(text), json_string_length(text));
		if (ev[0] == 's')
			capture_sent(p, s);
		else
			capture_came(p, s);
	} else if (ev && strcmp(ev, "connect") == 0) {
		capture_close(p, false);
		p->proto = CAPTURE_SMTP;
		capture_open(p);
	} else if (ev && strcmp(ev, "tls") == 0 && p->open) {
		capture_add(p, CAPTURE_TLS, STR(""));
	} else if (ev && strcmp(ev, "close") == 0) {
		capture_close(p, json_integer_value(json_object_get(o, "status")) != 0);
	}
	json_decref(o);
}

static struct str
html_text(struct str s)
{
	static const struct {
		struct str name;
		char c;
	} entities[] = {
		{ { "&lt;", 4 }, '<' },
		{ { "&gt;", 4 }, '>' },
		{ { "&amp;", 5 }, '&' },
		{ { "&quot;", 6 }, '"' },
	};
	char *to = (char *)(uintptr_t)s.p;
	size_t n = 0;

	for (size_t i = 0; i < s.len;) {
		size_t k = 0;
		while (k < ARRAY_LEN(entities) && !str_starts(str_skip(s, i), entities[k].name))
			k++;
		to[n++] = k < ARRAY_LEN(entities) ? entities[k].c : s.p[i];
		i += k < ARRAY_LEN(entities) ? entities[k].name.len : 1;
	}
	return str_n(to, n);
}

static void
html_line(struct capture_parser *p, struct str line)
{
	bool sent = str_starts(line, STR("<div class=\"c\">"));
	bool came = str_starts(line, STR("<div class=\"s\">"));
	struct str s = str_skip(line, 15);

	if (str_ends(s, STR("</div>")))
		s.len -= 6;
	if (sent || came) {
		s = html_text(s);
		if (str_starts(s, sent ? STR("c: ") : STR("s: ")))
			s = str_skip(s, 3);
	}
	if (sent)
		capture_sent(p, s);
	else if (came)
		capture_came(p, s);
	else if (str_starts(s, STR("#  TLS")) && p->open)
		capture_add(p, CAPTURE_TLS, STR(""));
	else if (str_starts(s, STR("Connection ")))
		capture_close(p, true);
	else if (str_starts(s, STR("Connected to "))) {
		capture_close(p, false);
		p->proto = CAPTURE_SMTP;
		capture_open(p);
	}
}

bool
capture_foreign(struct capture_parser *p)
{
	bool json = str_starts(p->rest, STR("{\"")), html = str_starts(p->rest, STR("<!DOCTYPE"));

	if (!json && !html)
		return false;
	while (p->rest.p) {
		struct str line = str_cut(&p->rest, '\n');
		p->line++;
		if (json)
			json_line(p, line);
		else if (str_starts(line, STR("<div class=\"")))
			html_line(p, line);
	}
	return true;
}
