/* Which server, from the words and options: host, port, protocol, TLS. */
#include "base/check.h"
#include "base/num.h"
#include "client/exit.h"
#include "client/options_priv.h"

static const struct {
	const char *name;
	uint16_t port;
	enum client_proto proto;
	bool implicit;
} ports[] = {
	{ "smtp", 25, PROTO_SMTP, false },
	{ "submission", 587, PROTO_SMTP, false },
	{ "submissions", 465, PROTO_SMTP, true },
	{ "smtps", 465, PROTO_SMTP, true },
	{ "lmtp", 24, PROTO_LMTP, false },
	{ "imap", 143, PROTO_IMAP, false },
	{ "imaps", 993, PROTO_IMAP, true },
	{ "pop3", 110, PROTO_POP3, false },
	{ "pop3s", 995, PROTO_POP3, true },
	{ "sieve", 4190, PROTO_SIEVE, false },
	{ "managesieve", 4190, PROTO_SIEVE, false },
};

uint16_t
options_port(struct str text)
{
	uint64_t n;

	if (num_u64(text, 65535, &n))
		return (uint16_t)n;
	for (size_t i = 0; i < ARRAY_LEN(ports); i++)
		if (str_ieq(text, str_of(ports[i].name)))
			return ports[i].port;
	return 0;
}

static uint16_t
default_port(const struct client_options *o, uint16_t at)
{
	bool implicit = o->tls_given && o->tls == CLIENT_TLS_IMPLICIT;

	if (o->proto == PROTO_SMTP && !implicit)
		return at;
	if (!o->proto_given && !implicit)
		return at;
	for (size_t i = 0; i < ARRAY_LEN(ports); i++)
		if (ports[i].proto == o->proto && ports[i].implicit == implicit)
			return ports[i].port;
	return at;
}

/* The socket of a file. */
static bool
is_path(const char *text)
{
	return strncmp(text, "unix:/", 6) == 0;
}

/* "HOST", "HOST:PORT", "[::1]:25", "::1", "imaps://HOST", "unix:/path". */
static bool
split_server(struct client_options *o, const char *text, const char **ret_host,
    struct str *ret_port)
{
	struct str s = str_of(text);
	size_t scheme = str_find_str(s, STR("://"));

	*ret_port = STR_NULL;
	if (is_path(text)) {
		*ret_host = text;
		return true;
	}
	if (scheme < s.len) {
		*ret_port = str_first(s, scheme);
		s = str_skip(s, scheme + 3);
		if (s.len && s.p[s.len - 1] == '/')
			s.len--;
	}
	struct str host = s;
	if (s.len && s.p[0] == '[') {
		size_t end = str_find(s, ']');
		host = str_first(s, end + 1);
		s = str_skip(s, end + 1);
		if (s.len && s.p[0] != ':')
			host = STR_NULL;
		else if (s.len)
			*ret_port = str_skip(s, 1);
	} else if (str_find(s, ':') == str_rfind(s, ':') && str_find(s, ':') < s.len) {
		host = str_first(s, str_find(s, ':'));
		*ret_port = str_skip(s, host.len + 1);
	}
	for (size_t i = 0; i < host.len; i++)
		if ((unsigned char)host.p[i] <= ' ' || host.p[i] == '/' || host.p[i] == '@' ||
		    host.p[i] == 0x7f)
			host = STR_NULL;
	*ret_host = host.len ? options_keep(o, host) : NULL;
	return host.len > 0;
}

static void
settle_proto(struct client_options *o)
{
	for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
		if (ports[i].port != o->link.port)
			continue;
		o->known_port = true;
		if (!o->proto_given)
			o->proto = ports[i].proto;
		if (ports[i].implicit && o->tls != CLIENT_TLS_NEVER && !o->starttls)
			o->tls = CLIENT_TLS_IMPLICIT;
		break;
	}
	/* As s_client does: TLS from the start, unless -starttls says otherwise. */
	if (o->connect && !o->tls_given)
		o->tls = CLIENT_TLS_IMPLICIT;
	options_settle_trust(o);
	struct transcript *both[] = { &o->kept, &o->recorded };
	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		both[i]->proto = client_proto_name[o->proto];
		both[i]->port = o->link.port;
	}
}

/* What the DNS says about servers, it says about those of SMTP (RFC 7672, RFC 8461). */
static int
settle_vouch(struct client_options *o)
{
	struct buf err = BUF_INIT(1024);

	if (!o->vouch.dane && !o->vouch.mta_sts)
		return CLIENT_OK;
	if (o->proto != PROTO_SMTP)
		return usage_error(o->cmd, "--dane and --mta-sts are for SMTP, not for %s",
		    client_proto_name[o->proto]);
	bool ok = !o->vouch.mta_sts || o->mx || vouch_recipients(&o->vouch, &o->to, &err);
	if (!ok)
		usage_error(o->cmd, STR_FMT, STR_ARG(buf_str(&err)));
	buf_done(&err);
	return ok ? CLIENT_OK : CLIENT_USAGE;
}

int
options_server(struct client_options *o, size_t first, uint16_t at)
{
	size_t n = o->words.n > first ? o->words.n - first : 0;
	const char *const *words = n ? o->words.v + first : NULL;
	const char *server = o->connect ? o->connect : n ? words[0] : o->server;
	const char *port_word = o->connect || n < 2 ? NULL : words[1];
	struct str port_text;

	if (o->connect && n > 0)
		return usage_error(o->cmd, "the server is named twice: %s and %s", o->connect,
		    words[0]);
	if (n > 2)
		return usage_error(o->cmd, "one word too many: %s", words[2]);
	if (!server)
		return usage_error(o->cmd,
		    "which server? Name one (HOST, and PORT unless it is %u), or set "
		    "$PENNYPOST_SERVER",
		    at);
	if (!split_server(o, server, &o->link.host, &port_text))
		return options_complain(o,
			   "%s is no server; write HOST, HOST:PORT or [ADDRESS]:PORT", server),
		       CLIENT_USAGE;
	if (port_word && port_text.p)
		return usage_error(o->cmd, "the port is given twice: in %s and %s", server,
		    port_word);
	if (port_word)
		port_text = str_of(port_word);
	uint16_t port = port_text.p ? options_port(port_text)
	                : o->port   ? o->port
	                : is_path(o->link.host) && !o->proto_given
	                    ? 24 /* LMTP: what listens there takes letters in */
	                    : default_port(o, at);
	if (port == 0)
		return options_complain(o,
			   STR_FMT " is no port; write a number from 1 to 65535, or smtp, "
				   "submission, imap, ...",
			   STR_ARG(port_text)),
		       CLIENT_USAGE;
	o->link.port = port;
	settle_proto(o);
	return settle_vouch(o);
}

int
options_one_server(const struct client_options *o)
{
	if (!o->mx)
		return CLIENT_OK;
	return usage_error(o->cmd,
	    "--mx is not for %s, which asks one server; `pennypost mx DOMAIN` lists those of a "
	    "domain",
	    o->cmd->name);
}
