/* --print-manual: the same by hand, with the programs of old. */
#include "talk/talk_priv.h"

#define TLS_MARK "# TLS from here on\n"

void
talk_manual_print(struct talk *t)
{
	const struct link_conf *c = &t->o->link;
	struct str text = buf_str(&t->manual);
	bool implicit = t->o->tls == CLIENT_TLS_IMPLICIT;
	size_t mark = str_find_str(text, STR(TLS_MARK));
	bool starttls = mark < text.len && !implicit;
	talk_print(t, "# By hand, with other programs:");
	if (implicit) {
		talk_print(t, "openssl s_client -crlf -quiet -connect %s:%u", c->host, c->port);
	} else if (starttls) {
		talk_print(t, "openssl s_client -crlf -quiet -starttls %s -connect %s:%u",
		    t->mode->alpn ? t->mode->alpn : "smtp", c->host, c->port);
		text = str_skip(text, mark + sizeof TLS_MARK - 1);
	} else {
		talk_print(t, "telnet %s %u", c->host, c->port);
	}
	if (t->manual.failed)
		talk_print(t, "# (the conversation was too long to be kept whole)");
	if (str_find_str(text, STR("hidden>")) < text.len)
		talk_print(t, "# base64 of a login: printf '\\0USER\\0PASSWORD' | base64");
	while (text.p && text.len) {
		struct str line = str_rtrim(str_cut(&text, '\n'));
		talk_print(t, STR_FMT, STR_ARG(line));
	}
}
