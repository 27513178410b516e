/* `pennypost cert`: what a server shows when TLS begins, and whether it is any good. */
#include "base/check.h"
#include "cli/cli.h"
#include "client/exit.h"
#include "client/options_text.h"
#include "oneshot/cert_priv.h"
#include "oneshot/say.h"
#include "sys/clock.h"

#include <inttypes.h>
#include <stdlib.h>

#define WARN_DAYS 14
#define GUESS_MS 3000 /* who is silent for so long on a port of no fame waits for TLS */
#define SILENT (-1)

extern const struct cli_cmd cmd_cert;

static void
take_chain(struct cert_report *r, const struct link *l)
{
	size_t n = MIN(tls_peer_certs(l->tls), (size_t)CERT_CHAIN_MAX);

	for (size_t i = 0; i < n; i++) {
		struct cert_one *one = &r->chain[r->n];
		one->names = BUF_INIT(256u << 10);
		if (!tls_peer_cert(l->tls, i, &one->c, &one->names)) {
			buf_done(&one->names);
			continue;
		}
		int64_t left = (one->c.not_after - r->now) / 86400;
		if (r->n == 0 || left < r->left_days)
			r->left_days = left;
		r->n++;
	}
}

static int
inspect(struct cert_report *r, struct events *ev, bool guess)
{
	struct link_conf conf = r->o->link;
	struct link l;

	if (guess)
		conf.timeout_ms = MIN(conf.timeout_ms, (int64_t)GUESS_MS);

	/* Nothing is refused here: what is wrong is what we are asked for. */
	conf.insecure = r->o->vouch.lenient = true;
	conf.tls.ocsp = true;
	int status = cert_open(r, &l, &conf, ev);
	if (status == CLIENT_OK)
		status = link_tls(&l, cert_alpn(r->o->proto));
	if (status == CLIENT_OK) {
		snprintf(r->peer, sizeof(r->peer), "%s", l.peer);
		r->facts = l.facts;
		r->trust = l.trust;
		r->verified = l.verified;
		if (l.vouched)
			str_copy(r->matched, sizeof(r->matched), str_of(l.vouched->matched));
		buf_puts(&r->verdict, buf_str(&l.verdict));
		take_chain(r, &l);
		tls_peer_ocsp(l.tls, &r->ocsp);
		if (r->o->pem || r->o->show_certs)
			tls_peer_chain(l.tls, &r->pem);
		cert_dns(r, &l);
	} else if (!guess || status != CLIENT_TIMEOUT || l.fd < 0) {
		complain_lines(buf_str(&l.why));
	} else {
		status = SILENT;
	}
	link_close(&l);
	return status;
}

static void
print(const struct cert_report *r)
{
	if (r->o->json) {
		say_json(cert_json(r));
		return;
	}
	if (!r->o->pem)
		cert_show(r, stdout);
	if (r->pem.len) {
		if (!r->o->pem)
			putchar('\n');
		fwrite(r->pem.p, 1, r->pem.len, stdout);
	}
}

/* What monitoring wants to know. */
static int
judge(const struct cert_report *r)
{
	const struct client_options *o = r->o;
	bool asked = o->warn_days != UINT64_MAX;
	int64_t limit = asked ? (int64_t)o->warn_days : WARN_DAYS;
	bool wrong_dane = r->dane_ad && r->n_tlsa > 0;

	for (size_t i = 0; i < r->n_tlsa; i++)
		if (r->tlsa[i].match >= 0 || !r->tlsa[i].usable)
			wrong_dane = false;
	if (!r->verified)
		complain("%s port %u: " STR_FMT, o->link.host, o->link.port,
		    STR_ARG(buf_str(&r->verdict)));
	if (wrong_dane)
		complain("%s port %u: no TLSA record matches: servers that use DANE will not "
			 "deliver here; publish the new key's record",
		    o->link.host, o->link.port);
	bool ends_soon = r->n && r->left_days >= 0 && r->left_days < limit;
	if (ends_soon)
		complain("%s port %u: the certificate ends in %" PRId64 " days; renew it",
		    o->link.host, o->link.port, r->left_days);
	if (o->insecure)
		return CLIENT_OK;
	return !r->verified || wrong_dane || (ends_soon && asked) ? CLIENT_TLS : CLIENT_OK;
}

static void
say_nothing(void *arg, const struct event *e)
{
	(void)arg;
	(void)e;
}

static int
report(struct client_options *o)
{
	struct cert_report *r = xalloc(sizeof(*r));

	r->o = o;
	r->now = sys_wall_ms() / 1000;
	r->verdict = BUF_INIT(16384);
	r->pem = BUF_INIT(4u << 20);
	r->starttls = o->tls != CLIENT_TLS_IMPLICIT && o->proto != PROTO_RAW;
	int status = inspect(r, &o->events, r->starttls && !o->tls_given && !o->known_port);
	if (status == SILENT) {
		r->starttls = false;
		status = inspect(r, &o->events, false);
	}
	if (status == CLIENT_OK && (o->all_versions || o->all_ciphers))
		status = cert_scan(r);
	if (status == CLIENT_OK) {
		print(r);
		status = judge(r);
	}
	for (size_t i = 0; i < CERT_CHAIN_MAX; i++)
		buf_done(&r->chain[i].names);
	buf_done(&r->verdict);
	buf_done(&r->pem);
	free(r);
	return status;
}

static int
run(int argc, char **argv)
{
	struct client_options o;
	int status = options_parse(&o, &cmd_cert,
	    OPTIONS_CONNECT | OPTIONS_HELLO | OPTIONS_OUTPUT | OPTIONS_SCLIENT | OPTIONS_CERT, argc,
	    argv);

	if (status != CLIENT_OK)
		return status;
	/* The report is the result; the way to it is shown when somebody asks. */
	o.show.out = stderr;
	if (o.json)
		o.events.sinks[0].fn = say_nothing;
	else if (!o.show.verbose)
		o.show.quiet = true;
	if (!o.json && !o.show.verbose)
		o.events.sinks[0].fn = say_nothing;
	status = options_one_server(&o);
	if (status == CLIENT_OK)
		status = options_server(&o, 0, 465);
	if (status == CLIENT_OK && o.tls == CLIENT_TLS_NEVER)
		status = usage_error(&cmd_cert, "without TLS there is no certificate to look at");
	return options_done(&o, status == CLIENT_OK ? report(&o) : status);
}

const struct cli_cmd cmd_cert = {
	.name = "cert",
	.summary = "Show the TLS certificate of a server, and what is wrong with it",
	.usage = "[OPTION]... HOST [PORT]",
	.help =
	    "Connects (port 465 unless another is named; STARTTLS by the port's protocol), and "
	    "shows\n"
	    "the chain, whether it can be verified, how long it lasts, its pins, the stapled OCSP\n"
	    "answer, TLSA records (DANE) and the record of MTA-STS.\n"
	    "\n"
	    "  --all-versions       try each version of TLS\n"
	    "  --all-ciphers        find the suites that the server takes, in its order\n"
	    "  --pem                print only the chain, as PEM\n"
	    "  --warn-days N        exit with 4 when a certificate ends in fewer than N days (a\n"
	    "                       warning alone below 14)\n"
	    "  --json               one object\n"
	    "\n" OPTIONS_HELP_CONNECT "\n" OPTIONS_HELP_HELLO "\n" OPTIONS_HELP_OUTPUT
	    "\n" OPTIONS_HELP_SCLIENT "\n"
	    "Exit status: 0 all is well, 4 the certificate or the handshake is no good, 5 the "
	    "server\n"
	    "refuses STARTTLS; 2, 3, 6, 7, 14 and 15 as for the other commands.\n"
	    "\n"
	    "Examples:\n"
	    "  pennypost cert mail.example.com\n"
	    "  pennypost cert mail.example.com 587 --all-versions\n"
	    "  pennypost cert --warn-days 30 imap.example.com:993 > /dev/null || echo renew\n"
	    "  pennypost cert --pem mail.example.com 25 > chain.pem\n",
	.words = "--all-versions --all-ciphers --pem --warn-days= " OPTIONS_WORDS_CONNECT
		 " " OPTIONS_WORDS_HELLO " " OPTIONS_WORDS_OUTPUT " " OPTIONS_WORDS_SCLIENT,
	.run = run,
	.client = true,
};
