/* mx: where the mail of a domain goes and by which rules, as a sender sees it. */
#include "oneshot/say.h"

#include "client/dns.h"
#include "client/exit.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define HOST_PTRS_MAX 8 /* addresses of one host whose names are looked up */
#define POLICY_MS 10000 /* for a step on the way to the policy of MTA-STS */
#define SILENCE_MAX 2   /* look-ups without an answer, before the rest is left out */

struct host {
	struct dns_addrs addrs;
	size_t n_ptr;
	char ptr[HOST_PTRS_MAX][DNS_NAME_MAX]; /* "": none */
	enum dns_status tlsa;
	bool tlsa_ad;
	struct buf tlsa_lines;
};

enum { SPF, DMARC, STS, TLSRPT, TEXTS };
enum { SUBMISSIONS, SUBMISSION, IMAPS, IMAP, POP3S, POP3, SERVICES };

static const struct {
	const char *label, *key, *prefix, *starts;
} text_kinds[TEXTS] = {
	[SPF] = { "SPF", "spf", "", "v=spf1" },
	[DMARC] = { "DMARC", "dmarc", "_dmarc.", "v=DMARC1" },
	[STS] = { "MTA-STS", "mta_sts", "_mta-sts.", "v=STSv1" },
	[TLSRPT] = { "TLS-RPT", "tls_rpt", "_smtp._tls.", "v=TLSRPTv1" },
};

/* RFC 8314 5.1, RFC 6186 */
static const char *const services[SERVICES] = { "submissions", "submission", "imaps", "imap",
	"pop3s", "pop3" };

struct text {
	enum dns_status status;
	size_t n;
	struct buf lines; /* those that begin as they should, parted by \n */
};

struct report {
	struct client_options *o;
	struct dns dns;
	char domain[DNS_NAME_MAX];
	struct dns_route route;
	struct host *host;
	struct text text[TEXTS];
	struct sts_found sts;
	struct buf
	    srv[SERVICES]; /* "host:port" words; "-": the service is not there (RFC 6186 3.4) */
	struct dns_answer answer;
	unsigned silent;
	struct buf warnings;
};

/* --- looking up --- */

static void warn(struct report *r, const char *fmt, ...) PRINTF(2, 3);
static void
warn(struct report *r, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (r->warnings.len)
		buf_putc(&r->warnings, '\n');
	buf_vputf(&r->warnings, fmt, ap);
	va_end(ap);
}

static enum dns_status
ask(struct report *r, const char *name, uint16_t type)
{
	if (r->silent >= SILENCE_MAX)
		return DNS_TIMEOUT;
	enum dns_status status = dns_ask(&r->dns, name, type, &r->answer);
	r->silent += status == DNS_TIMEOUT || status == DNS_UNREACHABLE;
	if (r->silent == SILENCE_MAX) {
		r->silent++;
		warn(r,
		    "the name server no longer answers; what is missing here was not looked up");
	}
	return status;
}

static void
look_tlsa(struct report *r, struct host *h, const char *host)
{
	char name[DNS_NAME_MAX + 16];
	snprintf(name, sizeof(name), "_25._tcp.%s", host);
	h->tlsa = ask(r, name, DNS_TLSA);
	if (h->tlsa != DNS_FOUND)
		return;
	h->tlsa_ad = r->answer.ad;
	for (size_t i = 0; i < r->answer.n; i++)
		buf_putf(&h->tlsa_lines, "%s" STR_FMT, i ? "\n" : "",
		    STR_ARG(dns_rr_text(&r->answer, i)));
	if (!h->tlsa_ad)
		warn(r,
		    "%s has TLSA records, but the name server does not say that DNSSEC verifies "
		    "them; "
		    "senders pass them over then (RFC 7672 2.2)",
		    host);
}

static bool
is_private(const char *addr)
{
	unsigned char o[16];
	if (inet_pton(AF_INET, addr, o) == 1)
		return o[0] == 127 || o[0] == 10 || o[0] == 0 || (o[0] == 192 && o[1] == 168) ||
		       (o[0] == 172 && (o[1] & 0xf0) == 16) || (o[0] == 169 && o[1] == 254);
	return inet_pton(AF_INET6, addr, o) == 1 &&
	       ((o[0] & 0xfe) == 0xfc || (o[0] == 0xfe && (o[1] & 0xc0) == 0x80) ||
		   strcmp(addr, "::1") == 0);
}

static void
look_host(struct report *r, struct host *h, const char *host)
{
	char name[DNS_NAME_MAX];
	if (dns_addrs(&r->dns, host, &h->addrs) != DNS_FOUND) {
		struct buf b = BUF_INIT(1024);
		dns_explain(&b, host, h->addrs.status);
		warn(r, STR_FMT, STR_ARG(buf_str(&b)));
		buf_done(&b);
		r->silent += h->addrs.status == DNS_TIMEOUT;
		return;
	}
	if (h->addrs.alias && !r->route.implicit)
		warn(r, "the MX %s is an alias (CNAME), which RFC 5321 5.1 forbids", host);
	if (h->addrs.hosts)
		warn(r, "%s is known by this machine's hosts file only; others do not see it",
		    host);
	for (size_t i = 0; i < h->addrs.n && !h->addrs.hosts; i++)
		if (is_private(h->addrs.addr[i]) && !h->addrs.fixed)
			warn(r, "%s is at %s, an address that cannot be reached from outside", host,
			    h->addrs.addr[i]);
	for (size_t i = 0; i < h->addrs.n && i < HOST_PTRS_MAX; i++) {
		h->n_ptr = i + 1;
		if (dns_reverse(h->addrs.addr[i], name) && ask(r, name, DNS_PTR) == DNS_FOUND)
			str_copy(h->ptr[i], DNS_NAME_MAX, str_of(r->answer.rr[0].target));
	}
	look_tlsa(r, h, host);
}

static void
look_text(struct report *r, int kind)
{
	char name[DNS_NAME_MAX + 16];
	struct text *t = &r->text[kind];
	snprintf(name, sizeof(name), "%s%s", text_kinds[kind].prefix, r->domain);
	t->status = ask(r, name, DNS_TXT);
	for (size_t i = 0; t->status == DNS_FOUND && i < r->answer.n; i++) {
		struct str s = dns_rr_text(&r->answer, i), want = str_of(text_kinds[kind].starts);
		char next = s.len > want.len ? s.p[want.len] : ' ';
		if (!str_istarts(s, want) || !(next == ' ' || next == ';'))
			continue;
		if (t->n++)
			buf_putc(&t->lines, '\n');
		buf_puts(&t->lines, s);
	}
	if (t->status == DNS_FOUND && t->n == 0)
		t->status = DNS_NODATA;
}

static void
look_service(struct report *r, int i)
{
	char name[DNS_NAME_MAX + 32];
	snprintf(name, sizeof(name), "_%s._tcp.%s", services[i], r->domain);
	if (ask(r, name, DNS_SRV) != DNS_FOUND)
		return;
	for (size_t j = 0; j < r->answer.n; j++) {
		const struct dns_rr *rr = &r->answer.rr[j];
		if (strcmp(rr->target, ".") == 0)
			buf_putf(&r->srv[i], "%s-", r->srv[i].len ? " " : "");
		else
			buf_putf(&r->srv[i], "%s%s:%u", r->srv[i].len ? " " : "", rr->target,
			    rr->port);
	}
}

static void
judge_texts(struct report *r)
{
	struct str spf = buf_str(&r->text[SPF].lines);
	static const char *const several[TEXTS] = {
		[SPF] = "a receiver takes that for an error and for none (RFC 7208 4.5)",
		[DMARC] = "receivers take that for none (RFC 9989)",
		[STS] = "senders take that for none (RFC 8461 3.1)",
		[TLSRPT] = "senders take that for none (RFC 8460 3)",
	};
	for (int i = 0; i < TEXTS; i++)
		if (r->text[i].n > 1)
			warn(r, "there are %zu %s records; %s", r->text[i].n, text_kinds[i].label,
			    several[i]);
	if (r->text[SPF].n == 1 &&
	    (str_find_str(spf, STR(" +all")) < spf.len || str_ends(spf, STR(" all"))))
		warn(r, "SPF ends in +all: it allows everybody to send in the name of this domain");
	if (r->text[SPF].status == DNS_NODATA || r->text[SPF].status == DNS_NXDOMAIN)
		warn(r, "no SPF record: nobody can tell which servers may send for this domain");
	if (r->text[DMARC].status == DNS_NODATA || r->text[DMARC].status == DNS_NXDOMAIN)
		warn(r,
		    "no DMARC record: forged letters from this domain are judged by nobody's wish");
}

/* The page that the record of MTA-STS promises, and whether it knows the hosts. */
static void
look_policy(struct report *r)
{
	struct link_conf conf = r->o->link;

	if (r->text[STS].n == 0)
		return;
	conf.timeout_ms = MIN(conf.timeout_ms, (int64_t)POLICY_MS);
	sts_find(&r->sts, &conf, &r->dns, r->domain, (uint16_t)r->o->vouch.sts_port);
	if (r->sts.state == STS_FAILED)
		warn(r, "MTA-STS: " STR_FMT, STR_ARG(buf_str(&r->sts.why)));
	if (r->sts.state != STS_FOUND || r->sts.policy.mode == STS_NONE)
		return;
	for (size_t i = 0; i < r->route.n; i++)
		if (!sts_allows(&r->sts.policy, str_of(r->route.mx[i].host)))
			warn(r, "the MX %s is none of the hosts of the MTA-STS policy%s",
			    r->route.mx[i].host,
			    r->sts.policy.mode == STS_ENFORCE ? ": senders refuse it" : "");
}

static void
look(struct report *r)
{
	r->host = xalloc((r->route.n + 1) * sizeof(*r->host));
	for (size_t i = 0; i < r->route.n; i++) {
		buf_init(&r->host[i].tlsa_lines, 16u << 10);
		look_host(r, &r->host[i], r->route.mx[i].host);
	}
	if (r->domain[0] == '\0')
		return; /* an address literal has nothing more */
	for (int i = 0; i < TEXTS; i++)
		look_text(r, i);
	for (int i = 0; i < SERVICES; i++)
		look_service(r, i);
	judge_texts(r);
	look_policy(r);
}

/* --- telling --- */

static void
print_hosts(const struct report *r)
{
	struct say_table t;
	say_table_init(&t, 4);
	for (size_t i = 0; i < r->route.n; i++) {
		const struct host *h = &r->host[i];
		for (size_t j = 0; j == 0 || j < h->addrs.n; j++) {
			if (j == 0) {
				say_cell(&t, "%5u", r->route.mx[i].pref);
				say_cell(&t, "%s", r->route.mx[i].host);
			} else {
				say_cell(&t, "%s", "");
				say_cell(&t, "%s", "");
			}
			say_cell(&t, "%s", h->addrs.n ? h->addrs.addr[j] : "no address");
			if (j < h->n_ptr)
				say_cell(&t, "%s", *h->ptr[j] ? h->ptr[j] : "(no reverse name)");
			else
				say_cell(&t, "%s", "");
		}
	}
	say_table_print(&t, stdout);
}

static void
print_tlsa(const struct report *r)
{
	for (size_t i = 0; i < r->route.n; i++) {
		struct str rest = buf_str(&r->host[i].tlsa_lines);
		while (rest.len) {
			struct str line = str_cut(&rest, '\n');
			printf("%-11s  %s: " STR_FMT " (%s)\n", "TLSA", r->route.mx[i].host,
			    STR_ARG(line),
			    r->host[i].tlsa_ad ? "verified by DNSSEC" : "not verified");
		}
	}
}

static void
print_texts(const struct report *r)
{
	for (int i = 0; i < TEXTS; i++) {
		const struct text *t = &r->text[i];
		struct str rest = buf_str(&t->lines);
		if (t->n == 0)
			printf("%-11s  %s\n", text_kinds[i].label,
			    t->status == DNS_NODATA || t->status == DNS_NXDOMAIN
				? "none"
				: dns_status_text[t->status].text);
		while (rest.len) {
			struct buf shown = BUF_INIT(4 * DNS_TEXT_MAX);
			show_escape(&shown, str_cut(&rest, '\n'));
			printf("%-11s  " STR_FMT "\n", text_kinds[i].label,
			    STR_ARG(buf_str(&shown)));
			buf_done(&shown);
		}
	}
	for (int i = 0; i < SERVICES; i++)
		if (r->srv[i].len)
			printf("%-11s  %s\n", services[i],
			    strcmp(buf_cstr((struct buf *)(uintptr_t)&r->srv[i]), "-") == 0
				? "not offered"
				: r->srv[i].p);
}

static void
print(const struct report *r, const char *asked)
{
	const struct dns_route *m = &r->route;
	if (m->null_mx)
		printf("%s takes no mail (a null MX, RFC 7505)\n", asked);
	else if (m->fixed)
		printf("%s: its mail goes where it was said\n", asked);
	else if (m->implicit)
		printf("%s has no MX: its mail goes to the host of that name (RFC 5321 5.1)\n",
		    asked);
	else
		printf("%s: %zu %s its mail%s\n", asked, m->n,
		    m->n == 1 ? "host takes" : "hosts take", m->ad ? ", verified by DNSSEC" : "");
	print_hosts(r);
	print_tlsa(r);
	if (*r->domain)
		print_texts(r);
	if (r->sts.state == STS_FOUND) {
		struct buf b = BUF_INIT(STS_POLICY_MAX);
		sts_text(&r->sts, &b);
		printf("%-11s  " STR_FMT "\n", "STS policy", STR_ARG(buf_str(&b)));
		buf_done(&b);
	}
	say_warn(r->o, buf_str(&r->route.warnings));
	say_warn(r->o, buf_str(&r->warnings));
}

static json_t *
json_lines(const struct buf *b)
{
	json_t *list = json_array();
	struct str rest = buf_str(b);
	while (rest.len)
		json_array_append_new(list, out_json_text(str_cut(&rest, '\n')));
	return list;
}

static json_t *
json_host(const struct report *r, size_t i)
{
	const struct host *h = &r->host[i];
	json_t *addrs = json_array();
	for (size_t j = 0; j < h->addrs.n; j++) {
		json_t *a = json_pack("{ss}", "address", h->addrs.addr[j]);
		if (j < h->n_ptr)
			json_object_set_new(a, "name",
			    *h->ptr[j] ? json_string(h->ptr[j]) : json_null());
		json_array_append_new(addrs, a);
	}
	return json_pack("{sisssssbsososb}", "preference", (int)r->route.mx[i].pref, "host",
	    r->route.mx[i].host, "status", dns_status_text[h->addrs.status].name, "alias",
	    h->addrs.alias, "addresses", addrs, "tlsa", json_lines(&h->tlsa_lines), "tlsa_verified",
	    h->tlsa_ad);
}

static void
print_json(const struct report *r, const char *asked)
{
	json_t *hosts = json_array(), *warnings = json_lines(&r->route.warnings);
	for (size_t i = 0; r->host && i < r->route.n; i++)
		json_array_append_new(hosts, json_host(r, i));
	json_t *more = json_lines(&r->warnings), *srv = json_object();
	json_array_extend(warnings, more);
	json_decref(more);
	json_t *root = json_pack("{sssssssbsbsbsbso}", "ev", "mx", "domain", asked, "status",
	    dns_status_text[r->route.status].name, "null_mx", r->route.null_mx, "implicit",
	    r->route.implicit, "fixed", r->route.fixed, "verified", r->route.ad, "hosts", hosts);
	for (int i = 0; i < TEXTS; i++)
		json_object_set_new(root, text_kinds[i].key, json_lines(&r->text[i].lines));
	for (int i = 0; i < SERVICES; i++)
		if (r->srv[i].len)
			json_object_set_new(srv, services[i], out_json_text(buf_str(&r->srv[i])));
	json_object_set_new(root, "services", srv);
	json_object_set_new(root, "mta_sts_policy",
	    r->sts.state == STS_FOUND ? say_policy(&r->sts) : json_null());
	json_object_set_new(root, "warnings", warnings);
	say_json(root);
}

static int
fail(struct report *r, const char *asked)
{
	struct buf b = BUF_INIT(4096);
	dns_explain(&b, asked, r->route.status);
	if (r->route.warnings.len)
		buf_putf(&b, " (" STR_FMT ")", STR_ARG(buf_str(&r->route.warnings)));
	if (r->o->json)
		print_json(r, asked);
	complain_lines(buf_str(&b));
	buf_done(&b);
	if (r->route.status == DNS_STOPPED)
		return CLIENT_INTERRUPTED;
	return r->route.status == DNS_BADNAME ? CLIENT_USAGE : CLIENT_RESOLVE;
}

static int
report_one(struct client_options *o, const char *asked)
{
	struct report *r = xalloc(sizeof(*r));
	struct buf err = BUF_INIT(1024);
	struct str domain = str_of(asked);
	int status = CLIENT_OK;
	r->o = o;
	dns_route_init(&r->route);
	dns_answer_init(&r->answer);
	sts_found_init(&r->sts);
	buf_init(&r->warnings, 32u << 10);
	for (int i = 0; i < TEXTS; i++)
		buf_init(&r->text[i].lines, DNS_TEXT_MAX);
	for (int i = 0; i < SERVICES; i++)
		buf_init(&r->srv[i], 8u << 10);
	size_t at = str_rfind(domain, '@');
	if (at < domain.len)
		domain = str_skip(domain, at + 1); /* of an address: its domain */
	if (!dns_init(&r->dns, &o->link, o->dns, &err)) {
		complain_lines(buf_str(&err));
		status = CLIENT_USAGE;
	} else if (dns_route(&r->dns, domain, &r->route) != DNS_FOUND) {
		status = fail(r, asked);
	} else {
		buf_reset(&err);
		if (domain.p[0] == '[' || !dns_name(domain, r->domain, &err))
			r->domain[0] = '\0';
		look(r);
		if (o->json)
			print_json(r, asked);
		else
			print(r, asked);
		if (o->link.stop && *o->link.stop)
			status = CLIENT_INTERRUPTED;
	}
	for (size_t i = 0; r->host && i < r->route.n; i++)
		buf_done(&r->host[i].tlsa_lines);
	for (int i = 0; i < TEXTS; i++)
		buf_done(&r->text[i].lines);
	for (int i = 0; i < SERVICES; i++)
		buf_done(&r->srv[i]);
	free(r->host);
	dns_route_done(&r->route);
	dns_answer_done(&r->answer);
	sts_found_done(&r->sts);
	buf_done(&r->warnings);
	buf_done(&err);
	free(r);
	return status;
}

static int
run(int argc, char **argv)
{
	struct client_options *o = xalloc(sizeof(*o));
	int status =
	    options_parse(o, cli_cmd_find("mx"), OPTIONS_CONNECT | OPTIONS_OUTPUT, argc, argv);
	if (status == CLIENT_OK && o->words.n == 0)
		status = usage_error(o->cmd, "name a domain");
	if (status == CLIENT_OK && o->vouch.dane)
		status = usage_error(o->cmd,
		    "mx shows the TLSA records anyway; --dane is for commands that connect");
	if (status == CLIENT_OK) {
		say_setup(o);
		for (size_t i = 0; i < o->words.n; i++) {
			int one = report_one(o, o->words.v[i]);
			status = status == CLIENT_OK ? one : status;
			if (one == CLIENT_INTERRUPTED)
				break;
		}
	}
	status = options_done(o, status);
	free(o);
	return status;
}

const struct cli_cmd cmd_mx = {
	.name = "mx",
	.summary = "Show where the mail of a domain goes, as a sender sees it",
	.usage = "[OPTION]... DOMAIN...",
	.help =
	    "The hosts that take the domain's mail by preference, with addresses and reverse "
	    "names,\n"
	    "their TLSA records (DANE), and what the domain says about SPF, DMARC, MTA-STS\n"
	    "(and its policy, a web page that is fetched where there is a record of it), TLS\n"
	    "reports and its services for mail programs; and what is wrong with all that.\n"
	    "\n"
	    "  --dns HOST[:PORT]    ask this name server, by its address, instead of the system's\n"
	    "  --resolve NAME:ADDR  answer every look-up of NAME with ADDR\n"
	    "  -4, -6               IPv4 or IPv6 only\n"
	    "  --timeout SEC        how long to wait for one answer (at most 5 s are waited)\n"
	    "  --ca FILE            authorities for the page of MTA-STS; --sts-port N: its port\n"
	    "  --json               one object per domain, a line each\n"
	    "\n"
	    "Exit status: 0 found (also a null MX), 1 usage, 2 it could not be found out.\n"
	    "\n"
	    "Examples: pennypost mx example.com\n"
	    "          pennypost mx --dns 9.9.9.9 example.com b\303\274cher.example\n",
	.words = "--dns= --resolve= -4 -6 --timeout= --ca=FILE --sts-port= --json",
	.run = run,
	.client = true,
};
