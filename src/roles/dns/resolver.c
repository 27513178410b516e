#include "roles/dns/resolver.h"

#include "base/check.h"
#include "log/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unbound.h>

#define CLASS_IN 1
#define TTL_MAX 86400

struct resolver {
	struct ub_ctx *ctx;
	struct loop_io *io;
};

static const struct {
	const char *name, *value;
} options[] = {
	{ "do-not-query-localhost:", "no" }, /* a resolver of this machine */
	{ "unblock-lan-zones:", "yes" },     /* names of private networks are the asked one's */
	{ "insecure-lan-zones:", "yes" },
	{ "domain-insecure:", "home.arpa." },
	{ "domain-insecure:", "test." }, /* which the root says is not there */
	{ "msg-cache-size:", "4m" },
	{ "rrset-cache-size:", "4m" },
	{ "use-syslog:", "no" },
};

/* What the library answers itself. The name server that is asked may serve a site's own names
 * (RFC 6761 6.2, RFC 8375); that "invalid" is nothing and "onion" nobody's (RFC 6761 6.4, RFC 7686)
 * only a lab's may say otherwise. */
static const struct {
	const char *zone;
	bool lab_only;
} zones[] = {
	{ "test.", false },
	{ "home.arpa.", false },
	{ "invalid.", true },
	{ "onion.", true },
	{ "127.in-addr.arpa.", true },
	{ "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.", true },
};

static bool
fail(struct buf *err, const char *what, int code)
{
	buf_putf(err, "the resolver cannot be set up: %s: %s", what, ub_strerror(code));
	return false;
}

static bool
set_options(struct ub_ctx *ctx, const struct conf *c, struct buf *err)
{
	int r = ub_ctx_async(ctx, 1); /* a thread, no process */
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(options); i++)
		r = ub_ctx_set_option(ctx, options[i].name, options[i].value);
	if (r == 0 && !c->dns_trust_anchor[0])
		r = ub_ctx_set_option(ctx, "module-config:", "iterator");
	return r == 0 || fail(err, "options", r);
}

/* Without a list of name servers the library begins at the root. */
static void
use_system(struct ub_ctx *ctx)
{
	int r = ub_ctx_resolvconf(ctx, NULL);
	if (r != 0)
		LOG(LOG_WARN, 0, "no-name-servers", LOGZ("file", "/etc/resolv.conf"),
		    LOGZ("why", ub_strerror(r)), LOGZ("instead", "the servers of the root"));
	r = ub_ctx_hosts(ctx, NULL);
	if (r != 0)
		LOG(LOG_WARN, 0, "no-hosts", LOGZ("file", "/etc/hosts"),
		    LOGZ("why", ub_strerror(r)));
}

static bool
set_servers(struct ub_ctx *ctx, const struct conf *c, struct buf *err)
{
	char ip[CONF_IP_MAX], place[CONF_IP_MAX + 8];
	uint16_t port;
	if (strcmp(c->dns, "system") == 0) {
		use_system(ctx);
		return true;
	}
	if (!conf_dns_server(c->dns, ip, &port)) {
		buf_putf(err, "dns = \"%s\" names no name server", c->dns);
		return false;
	}
	snprintf(place, sizeof(place), "%s@%u", ip, port);
	int r = ub_ctx_set_fwd(ctx, place);
	return r == 0 || fail(err, place, r);
}

static bool
set_anchor(struct ub_ctx *ctx, const struct conf *c, struct buf *err)
{
	char path[CONF_TEXT_MAX + 1];
	if (!c->dns_trust_anchor[0])
		return true;
	check(str_copy(path, sizeof(path), str_of(c->dns_trust_anchor)));
	int r = ub_ctx_add_ta_file(ctx, path);
	return r == 0 || fail(err, path, r);
}

/* Taking a zone out settles all options, and reads all files; so it comes last, and in any case. */
static bool
settle(struct ub_ctx *ctx, const struct conf *c, struct buf *err)
{
	int r = ub_ctx_zone_remove(ctx, "pennypost.invalid.");
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(zones); i++)
		if (c->lab || !zones[i].lab_only)
			r = ub_ctx_zone_remove(ctx, zones[i].zone);
	return r == 0 || fail(err, c->dns_trust_anchor[0] ? c->dns_trust_anchor : "settling", r);
}

struct resolver *
resolver_new(const struct conf *c, struct buf *err)
{
	struct resolver *r = xalloc(sizeof(*r));
	r->ctx = ub_ctx_create();
	if (!r->ctx)
		buf_putz(err, "the resolver cannot be made: out of memory or descriptors");
	else if (set_options(r->ctx, c, err) && set_servers(r->ctx, c, err) &&
		 set_anchor(r->ctx, c, err) && settle(r->ctx, c, err))
		return r;
	return resolver_free(r);
}

static void
on_readable(void *arg, unsigned events)
{
	struct resolver *r = arg;
	int code = ub_process(r->ctx);
	if (code != 0)
		LOG(LOG_ERROR, 0, "resolver", LOGZ("error", ub_strerror(code)));
}

bool
resolver_go(struct resolver *r, struct loop *l, struct buf *err)
{
	r->io = loop_io_new(l, ub_fd(r->ctx), on_readable, r);
	if (!r->io) {
		buf_putf(err, "the resolver cannot be watched: %s", strerror(errno));
		return false;
	}
	loop_io_want(r->io, LOOP_READ);
	return true;
}

struct resolver *
resolver_free(struct resolver *r)
{
	if (!r)
		return NULL;
	loop_io_free(r->io);
	if (r->ctx)
		ub_ctx_delete(r->ctx);
	free(r);
	return NULL;
}

static enum lookup_verdict
verdict_of(int err, const struct ub_result *res)
{
	/* A forged answer looks like "no such record" in all but this one field. */
	if (err != 0 || !res || res->bogus)
		return LOOKUP_FAILED;
	if (res->havedata)
		return LOOKUP_DATA;
	return res->nxdomain || res->rcode == 0 ? LOOKUP_NONE : LOOKUP_FAILED;
}

static void
on_result(void *arg, int err, struct ub_result *res)
{
	struct lookup *k = arg;
	struct str data[LOOKUP_RECORDS_MAX];
	struct lookup_answer a = { .verdict = verdict_of(err, res), .data = data, .why = "" };
	k->resolver = NULL;
	if (res && err == 0) {
		a.forged = res->bogus;
		a.secure = res->secure && !res->bogus;
		a.no_name = a.verdict == LOOKUP_NONE && res->nxdomain;
		a.canonical = res->canonname;
		if (res->bogus && res->why_bogus)
			a.why = res->why_bogus;
	} else if (err != 0) {
		a.why = ub_strerror(err);
	}
	for (; a.verdict == LOOKUP_DATA && a.n < LOOKUP_RECORDS_MAX && res->data[a.n]; a.n++)
		data[a.n] = str_n(res->data[a.n], (size_t)MAX(res->len[a.n], 0));
	if (res && res->ttl > 0)
		a.ttl = (uint32_t)MIN(res->ttl, TTL_MAX);
	k->fn(k->arg, &a);
	ub_resolve_free(res);
}

bool
lookup_ask(struct lookup *k, struct resolver *r, const char *name, int type)
{
	check(!k->resolver);
	int code = ub_resolve_async(r->ctx, name, type, CLASS_IN, k, on_result, &k->id);
	if (code != 0)
		return false;
	k->resolver = r;
	return true;
}

void
lookup_cancel(struct lookup *k)
{
	if (k->resolver)
		(void)ub_cancel(k->resolver->ctx, k->id);
	k->resolver = NULL;
}
