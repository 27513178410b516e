/* Checks that need more than one key. */
#include "conf/conf_priv.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>

struct checker {
	const struct conf *c;
	struct buf *err, *warnings;
	bool ok;
};

static void PRINTF(2, 3) wrong(struct checker *ck, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_vputf(ck->err, fmt, ap);
	buf_putc(ck->err, '\n');
	va_end(ap);
	ck->ok = false;
}

static void PRINTF(2, 3) odd(struct checker *ck, const char *fmt, ...)
{
	va_list ap;
	if (ck->warnings == NULL)
		return;
	va_start(ap, fmt);
	buf_vputf(ck->warnings, fmt, ap);
	buf_putc(ck->warnings, '\n');
	va_end(ap);
}

const char *
conf_who(const struct conf *c, const struct conf_listener *l, char name[96])
{
	bool v6 = strchr(l->address, ':') != NULL;
	if (l == &c->defaults)
		return "all listeners";
	if (conf_unix_path(l)) {
		snprintf(name, 96, "listener %s", l->address);
		return name;
	}
	snprintf(name, 96, "listener %s%s%s:%" PRIu64, v6 ? "[" : "", l->address, v6 ? "]" : "",
	    l->port);
	return name;
}

static void
check_lab_keys(struct checker *ck, const struct conf_listener *l)
{
	char name[96];
	for (const struct conf_key *k = conf_keys; k->name; k++)
		if ((k->flags & CONF_LAB) && !ck->c->lab && !conf_value_is_default(k, l))
			wrong(ck,
			    "%s: %s makes the server pretend and works only in a lab; remove it, "
			    "or set lab = yes if no real mail comes here",
			    conf_who(ck->c, l, name), k->name);
}

bool
conf_check_lab(const struct conf *c, struct buf *err)
{
	struct checker ck = { c, err, NULL, true };
	check_lab_keys(&ck, &c->defaults);
	for (size_t i = 0; i < c->n_listeners; i++)
		check_lab_keys(&ck, &c->listeners[i]);
	return ck.ok;
}

static void
check_oauth(struct checker *ck)
{
	const struct conf *c = ck->c;
	const char *url = c->oauth_introspect_url;
	bool client = c->oauth_introspect_client[0], secret = c->oauth_introspect_secret_file[0];
	if (client != secret)
		wrong(ck, "oauth.introspect_client and oauth.introspect_secret_file belong "
			  "together; set both or none");
	if (!url[0] && (client || secret || c->oauth_introspect_ca[0]))
		odd(ck, "oauth.introspect_url is empty, so nobody is asked about tokens");
	if (url[0] && !c->dns[0] && !conf_url_is_literal(url))
		wrong(ck, "oauth.introspect_url names a host, and dns is empty, so it would never "
			  "be found; set dns, or write the address as a number");
	if (c->gssapi_krb5_conf[0] && !c->gssapi_keytab[0] && !c->gssapi_client_keytab[0])
		odd(ck, "gssapi.krb5_conf has no effect without gssapi.keytab or "
			"gssapi.client_keytab");
}

static void
check_queue(struct checker *ck)
{
	const struct conf *c = ck->c;
	if (c->queue_retry_first > c->queue_retry_most)
		odd(ck, "queue.retry_first is above queue.retry_most, which then is the first "
			"wait; write a shorter time");
	if (c->queue_warn && c->queue_warn >= c->queue_lifetime)
		odd(ck, "queue.warn is not below queue.lifetime, so no sender is warned before his "
			"letter comes back; write a shorter time, or 0 for none");
	if (!c->dns[0] && c->dns_trust_anchor[0])
		odd(ck, "dns_trust_anchor has no effect while dns is empty; set dns, or remove it");
}

static void
check_whole(struct checker *ck)
{
	const struct conf *c = ck->c;
	if (c->hostname[0] == '\0')
		wrong(ck, "hostname is not set; write hostname = \"mail.example.org\"; with this "
			  "server's full name");
	else if (!strchr(c->hostname, '.'))
		odd(ck,
		    "hostname %s has no dot; other servers expect a full name such as "
		    "mail.example.org",
		    c->hostname);
	if (c->data_dir[0] != '/')
		wrong(ck, "data_dir \"%s\" is no absolute path; write it with / in front",
		    c->data_dir);
	if (c->log_file[0] && c->log_file[0] != '/')
		wrong(ck, "log.file \"%s\" is no absolute path; write it with / in front",
		    c->log_file);
	if (c->n_listeners == 0)
		wrong(ck, "there is no listener; write listen = ( { port = 25; } );");
	check_oauth(ck);
	check_queue(ck);
	ck->ok = conf_check_routes(c, ck->err, ck->warnings) && ck->ok;
	if (c->lab)
		odd(ck, "lab is on: the server may pretend to be another; take it off before real "
			"mail comes");
}

static bool
is_everyone(struct str cidrs)
{
	while (cidrs.len) {
		size_t n = str_find_any(cidrs, " ,\t");
		if (n >= 2 && str_ends(str_first(cidrs, n), STR("/0")))
			return true;
		cidrs = str_skip(cidrs, n + 1);
	}
	return false;
}

static bool
is_loopback(const char *address)
{
	return str_starts(str_of(address), STR("127.")) || strcmp(address, "::1") == 0;
}

static void
check_unix(struct checker *ck, const struct conf_listener *l, const char *w)
{
	size_t n = strlen(l->socket_mode);
	bool metrics = conf_protocol(l) == CONF_IS_METRICS;
	if (!conf_is_lmtp(l) && !metrics)
		wrong(ck,
		    "%s: at a unix socket only lmtp and metrics are spoken; write protocol = "
		    "\"lmtp\"; or an IP address",
		    w);
	if (!metrics && n && strchr("2367", l->socket_mode[n - 1]))
		odd(ck, "%s: with socket.mode %s every account of this machine may deliver", w,
		    l->socket_mode);
}

static void
check_lmtp(struct checker *ck, const struct conf_listener *l, const char *w)
{
	if (strcmp(l->dialect, "rfc") != 0 && strcmp(l->dialect, ck->c->defaults.dialect) != 0)
		odd(ck, "%s: dialect has no effect: lmtp is worded as in the rfc dialect", w);
	if (conf_unix_path(l))
		return;
	if (l->port == 25 || l->stands_for == 25)
		wrong(ck,
		    "%s: LMTP must not be used at port 25 (RFC 2033 5); write port = 24, or "
		    "address = \"unix:/run/pennypost/lmtp\"",
		    w);
	if (!is_loopback(l->address) && l->relay_ip[0] == '\0')
		odd(ck,
		    "%s: LMTP is answered to this machine only; name the networks that may "
		    "deliver in relay_ip, or listen at 127.0.0.1",
		    w);
}

static bool
is(const char *value, const char *word)
{
	return strcmp(value, word) == 0;
}

/* Written for this listener, and not only for all of them. */
static bool
own(const char *value, const char *of_all, const char *word)
{
	return is(value, word) && !is(of_all, word);
}

static void
check_tls(struct checker *ck, const struct conf_listener *l, const char *w)
{
	const struct conf_listener *all = &ck->c->defaults;
	bool implicit = conf_tls_implicit(l), never = !implicit && !conf_starttls(l);
	if (conf_unix_path(l) && (own(l->tls_implicit, all->tls_implicit, "yes") ||
				     own(l->starttls, all->starttls, "yes")))
		wrong(ck, "%s: there is no TLS at a unix socket; remove tls.implicit and starttls",
		    w);
	if (conf_tls_required(l) && never)
		wrong(ck,
		    "%s: tls.required asks for TLS, which starttls = %s does not let begin; write "
		    "starttls = \"yes\", or tls.implicit",
		    w, l->starttls);
	if (l->tls_required_senders[0] && never && conf_protocol(l) == CONF_IS_SMTP)
		wrong(ck,
		    "%s: tls.required_senders asks for TLS, which starttls = %s does not let "
		    "begin; write starttls = \"yes\", or tls.implicit",
		    w, l->starttls);
	if (implicit && is(l->starttls, "yes"))
		odd(ck, "%s: starttls has no effect where TLS begins at once", w);
	if (l->tls_legacy)
		odd(ck, "%s: tls.legacy takes TLS 1.0 and 1.1, which are broken", w);
}

static bool
names_mech(const struct conf_listener *l, const char *mech)
{
	struct str rest = str_of(l->mechs), word;
	while ((word = str_word(&rest)).len)
		if (str_ieq(word, str_of(mech)))
			return true;
	return false;
}

static void
check_mechs(struct checker *ck, const struct conf_listener *l, const char *w)
{
	const struct conf *c = ck->c;
	bool oauth = c->oauth_keys[0] || c->oauth_introspect_url[0];
	if (names_mech(l, "GSSAPI") && c->gssapi_keytab[0] == '\0')
		odd(ck, "%s: GSSAPI in mechs does not work without gssapi.keytab", w);
	if (names_mech(l, "EXTERNAL") && l->tls_client_ca[0] == '\0')
		odd(ck, "%s: EXTERNAL in mechs does not work without tls.client_ca", w);
	if ((names_mech(l, "OAUTHBEARER") || names_mech(l, "XOAUTH2")) && !oauth)
		odd(ck,
		    "%s: OAuth in mechs does not work without oauth.keys or "
		    "oauth.introspect_url",
		    w);
}

static void
check_auth(struct checker *ck, const struct conf_listener *l, const char *w)
{
	const struct conf_listener *all = &ck->c->defaults;
	bool tls = conf_tls_implicit(l) || conf_starttls(l);
	bool clear = is(l->auth_cleartext, "allow");
	if (conf_is_lmtp(l) &&
	    (own(l->auth, all->auth, "yes") || own(l->auth_required, all->auth_required, "yes")))
		wrong(ck, "%s: LMTP has no login here; remove auth and auth_required", w);
	else if (conf_auth_required(l) && !conf_auth(l))
		wrong(ck,
		    "%s: auth_required asks for AUTH, which auth = no switches off; write auth = "
		    "\"yes\", or auth_required = \"no\"",
		    w);
	if (conf_is_lmtp(l) && own(l->submission, all->submission, "yes"))
		wrong(ck, "%s: mail is not handed in by LMTP; remove submission", w);
	if (conf_auth(l) && !tls && !clear && !l->lab)
		odd(ck,
		    "%s: nobody can log in: there is no TLS, and auth_cleartext is deny; write "
		    "starttls = \"yes\"",
		    w);
	if (conf_auth(l) && clear && !l->lab && !is_loopback(l->address))
		odd(ck,
		    "%s: auth_cleartext = allow lets passwords cross the network for all to read",
		    w);
	check_mechs(ck, l, w);
}

/* Who may say that somebody else is the client. */
static void
check_peers(struct checker *ck, const struct conf_listener *l, const char *w)
{
	const struct {
		const char *key, *value;
	} rows[] = {
		{ "proxy_peers", l->proxy_peers },
		{ "xclient_peers", l->xclient_peers },
		{ "xforward_peers", l->xforward_peers },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (is_everyone(str_of(rows[i].value)))
			wrong(ck,
			    "%s: %s covers the whole internet, so that everybody could say who he "
			    "is; name your own proxies",
			    w, rows[i].key);
	if (l->relay_sender[0] && !conf_reads_mail(l))
		odd(ck, "%s: anybody can claim to be a sender of relay_sender; let them log in", w);
}

/* Figures are nobody's business, and there is neither login nor TLS. */
static void
check_metrics(struct checker *ck, const struct conf_listener *l, const char *w)
{
	if (!conf_unix_path(l) && !is_loopback(l->address))
		wrong(ck,
		    "%s: metrics are told on this machine only; write address = \"127.0.0.1\"; "
		    "and let a proxy in front of it ask who comes",
		    w);
}

static void
check_listener(struct checker *ck, const struct conf_listener *l)
{
	char name[96];
	const char *w = conf_who(ck->c, l, name);
	if (conf_unix_path(l))
		check_unix(ck, l, w);
	if (conf_protocol(l) == CONF_IS_METRICS) {
		check_metrics(ck, l, w);
		return;
	}
	if (conf_is_lmtp(l))
		check_lmtp(ck, l, w);
	check_tls(ck, l, w);
	check_auth(ck, l, w);
	check_peers(ck, l, w);
	if (is_everyone(str_of(l->relay_ip)) && !conf_reads_mail(l))
		odd(ck, "%s: relay_ip covers the whole internet; name your own networks", w);
	if (strcmp(l->helo_check, "dns") == 0 && !conf_reads_mail(l))
		odd(ck, "%s: helo_check = dns works as fqdn: what HELO says is not looked up", w);
	if (!l->lab && l->limit_idle_seconds < 300 && !conf_reads_mail(l))
		odd(ck, "%s: limit.idle_seconds is below the 300 that RFC 5321 4.5.3.2 asks for",
		    w);
}

bool
conf_check(struct conf *c, struct buf *err, struct buf *warnings)
{
	struct checker ck = { c, err, warnings, true };
	conf_settle(c);
	check_whole(&ck);
	ck.ok = conf_check_lab(c, err) && ck.ok;
	ck.ok = conf_check_protocols(c, err, warnings) && ck.ok;
	ck.ok = conf_texts_read(c, err) && ck.ok;
	if (c->relay_recipients[0] && !c->relay_domains[0])
		odd(&ck, "relay_recipients names who exists in relay_domains, and that is empty");
	for (size_t i = 0; i < c->n_listeners; i++) {
		check_listener(&ck, &c->listeners[i]);
		for (size_t j = 0; j < i; j++)
			if (!conf_same_place(&c->listeners[i], &c->listeners[j]))
				continue;
			else if (conf_unix_path(&c->listeners[i]))
				wrong(&ck, "two listeners at %s; remove one of them",
				    c->listeners[i].address);
			else
				wrong(&ck,
				    "two listeners at %s port %" PRIu64 "; remove one of them",
				    c->listeners[i].address, c->listeners[i].port);
	}
	return ck.ok;
}
