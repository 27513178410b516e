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

/* "listener 127.0.0.1:25" or "all listeners". */
static const char *
who(const struct checker *ck, const struct conf_listener *l, char name[96])
{
	bool v6 = strchr(l->address, ':') != NULL;
	if (l == &ck->c->defaults)
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
			    who(ck, l, name), k->name);
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

/* What nothing looks at yet is said, and refused where its writer would rely on it. */
static void
check_later(struct checker *ck, const void *base, bool listener, const char *w)
{
	for (const struct conf_key *k = conf_keys; k->name; k++) {
		if (!(k->flags & CONF_LATER) || ((k->flags & CONF_LISTENER) != 0) != listener ||
		    conf_value_is_default(k, base))
			continue;
		if ((k->flags & CONF_UNSAFE) && !ck->c->lab)
			wrong(ck,
			    "%s%s cannot be kept: this version has neither TLS nor AUTH; remove it",
			    w, k->name);
		else
			odd(ck, "%s%s has no effect in this version", w, k->name);
	}
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
	check_later(ck, c, false, "");
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
	if (!conf_is_lmtp(l))
		wrong(ck,
		    "%s: at a unix socket only lmtp is spoken; write protocol = \"lmtp\"; or "
		    "an IP address",
		    w);
	if (n && strchr("2367", l->socket_mode[n - 1]))
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

static void
check_listener(struct checker *ck, const struct conf_listener *l)
{
	char name[96];
	char lead[100];
	const char *w = who(ck, l, name);
	snprintf(lead, sizeof lead, "%s: ", w);
	check_later(ck, l, true, lead);
	if (conf_unix_path(l))
		check_unix(ck, l, w);
	if (conf_is_lmtp(l))
		check_lmtp(ck, l, w);
	if (is_everyone(str_of(l->relay_ip)))
		odd(ck, "%s: relay_ip covers the whole internet; name your own networks", w);
	if (strcmp(l->helo_check, "dns") == 0)
		odd(ck, "%s: helo_check = dns works as fqdn: this version makes no look-ups", w);
	if (!l->lab && l->limit_idle_seconds < 300)
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
