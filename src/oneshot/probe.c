/* probe: would these addresses be taken? (K0-24, K4-12) */
#include "oneshot/probe_priv.h"
#include "oneshot/say.h"

#include "base/num.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RETRY_SECONDS "300" /* what most that greylist want */
#define RETRY_MAX 86400

/* --- where to ask --- */

static bool
resolve_to(struct client_options *o, const struct dns_addrs *a, const char *host)
{
	/* The addresses that were found are what the link shall try, in this order. */
	o->link.n_resolve = MIN(a->n, (size_t)LINK_RESOLVE_MAX);
	for (size_t i = 0; i < o->link.n_resolve; i++) {
		o->link.resolve[i].name = host;
		o->link.resolve[i].addr = a->addr[i];
	}
	return o->link.n_resolve > 0;
}

static bool
ask_mx(struct probing *p, size_t group, struct dns *d, const struct dns_mx *mx, bool last)
{
	struct client_options o = *p->o;
	struct dns_addrs *a = xalloc(sizeof(*a));
	bool ok = false;
	o.link.host = mx->host;
	o.link.port = o.port ? o.port : 25;
	enum dns_status status = dns_addrs(d, mx->host, a);
	if (status == DNS_FOUND && resolve_to(&o, a, mx->host)) {
		ok = probe_host(p, group, &o, last);
	} else {
		struct buf why = BUF_INIT(1024);
		dns_explain(&why, mx->host, status);
		event_warn(&o.events, "resolve", STR_FMT, STR_ARG(buf_str(&why)));
		if (last)
			probe_rest(p, group, PROBE_UNVERIFIABLE,
			    status == DNS_STOPPED ? CLIENT_INTERRUPTED : CLIENT_RESOLVE, mx->host,
			    "resolve", buf_str(&why));
		buf_done(&why);
	}
	free(a);
	return ok;
}

/* The domain itself says no, or nobody can tell. */
static void
no_route(struct probing *p, size_t group, const char *domain, const struct dns_route *r)
{
	struct buf why = BUF_INIT(2048);
	bool final = dns_is_final(r->status);
	int trouble = r->status == DNS_STOPPED ? CLIENT_INTERRUPTED : CLIENT_RESOLVE;
	if (r->null_mx)
		buf_putf(&why, "%s takes no mail (a null MX, RFC 7505)", domain);
	else if (r->status == DNS_NODATA)
		buf_putf(&why, "%s has neither an MX nor an address: no mail can reach it", domain);
	else
		dns_explain(&why, domain, r->status);
	probe_rest(p, group, final ? PROBE_REJECTED : PROBE_UNVERIFIABLE,
	    final ? CLIENT_OK : trouble, "", r->null_mx ? "mx" : "resolve", buf_str(&why));
	buf_done(&why);
}

/* Asks about all that are not done of a group; all of them are done then. */
static void
ask_group(struct probing *p, size_t group)
{
	struct dns d;
	struct dns_route r;
	struct buf err = BUF_INIT(512);
	const struct probe *first = probe_next(p, group);
	if (!first)
		return;
	if (p->server) {
		struct client_options o = *p->o;
		(void)probe_host(p, group, &o, true);
		return;
	}
	check(dns_init(&d, &p->o->link, p->o->dns, &err)); /* it was looked at before */
	dns_route_init(&r);
	if (dns_route(&d, str_of(first->domain), &r) != DNS_FOUND || r.null_mx)
		no_route(p, group, first->domain, &r);
	vouch_route(&p->o->vouch, first->domain, &r);
	for (size_t i = 0; i < r.n && probe_next(p, group); i++)
		if (ask_mx(p, group, &d, &r.mx[i], i + 1 == r.n))
			break;
	dns_route_done(&r);
	buf_done(&err);
}

/* --- telling --- */

static enum say_mood
mood_of(enum probe_verdict v)
{
	static const enum say_mood moods[] = { SAY_GOOD, SAY_UNSURE, SAY_BAD, SAY_BAD, SAY_UNSURE,
		SAY_UNSURE };
	return moods[v];
}

static void
tell_json(const struct probe *one)
{
	json_t *root = json_pack("{sssosssssssb}", "ev", "probe", "address",
	    out_json_text(str_of(one->text)), "verdict", probe_verdict_name[one->verdict], "step",
	    one->step, "host", one->host, "tls", one->tls);
	if (one->code) {
		json_object_set_new(root, "code", json_integer(one->code));
		json_object_set_new(root, "enhanced", json_string(one->enhanced));
		json_object_set_new(root, "text", out_json_text(str_of(one->reply)));
	}
	if (one->random_code) {
		json_object_set_new(root, "random_code", json_integer(one->random_code));
		json_object_set_new(root, "random_enhanced", json_string(one->random_enhanced));
	}
	if (*one->note)
		json_object_set_new(root, "note", out_json_text(str_of(one->note)));
	if (one->trouble)
		json_object_set_new(root, "status", json_integer(one->trouble));
	say_json(root);
}

static void
tell(const struct probing *p, const struct probe *one)
{
	const struct client_options *o = p->o;
	size_t wide = 0;
	if (o->json) {
		tell_json(one);
		return;
	}
	for (size_t i = 0; i < p->n; i++)
		wide = MAX(wide, strlen(p->probe[i].text));
	struct buf shown = BUF_INIT(4096);
	show_escape(&shown, str_of(one->text));
	printf("%-*.*s  %s%-*s%s", (int)wide, (int)MIN(shown.len, (size_t)2000),
	    shown.p ? shown.p : "", say_color(o, mood_of(one->verdict)),
	    *one->host || one->code ? 17 : 0, probe_verdict_name[one->verdict], say_plain(o));
	buf_done(&shown);
	if (*one->host)
		printf("  %s", one->host);
	if (one->code) /* the enhanced code is part of the text */
		printf("  %d %s", one->code, one->reply);
	if (one->random_code)
		printf("   (random address: %d%s%s)", one->random_code,
		    *one->random_enhanced ? " " : "", one->random_enhanced);
	putchar('\n');
	if (*one->note)
		say_note(o, str_of(one->note));
	(void)fflush(stdout);
}

static void
epilogue(const struct probing *p)
{
	bool seen[PROBE_VERDICTS] = { false };
	if (p->o->json || p->o->show.quiet)
		return;
	for (size_t i = 0; i < p->n; i++)
		seen[p->probe[i].verdict] = true;
	if (seen[PROBE_ACCEPTED] || seen[PROBE_CATCHALL])
		say_note(p->o,
		    STR("An acceptance is no proof of delivery: a server may refuse the letter "
			"itself,\nreturn it later, or drop it. `pennypost roundtrip` shows "
			"whether one arrives."));
	if (seen[PROBE_CATCHALL])
		say_note(p->o,
		    STR("accepted-catchall: the server takes mail for every address of the "
			"domain."));
	if (seen[PROBE_POLICY])
		say_note(p->o,
		    STR("policy: the server refuses us, not the address: this machine's address, "
			"its name,\nor the sender; try --from, --ehlo, or ask from elsewhere."));
}

/* --- all groups --- */

static void
run_serial(struct probing *p)
{
	for (size_t g = 0; g < p->groups; g++)
		ask_group(p, g);
}

/* A process for each group: TLS stays on one thread, and nobody waits for a slow domain. */
static void
run_parallel(struct probing *p)
{
	size_t running = 0, next = 0, told = 0;
	pid_t *pids = xalloc((p->groups + 1) * sizeof(*pids));
	void (*later)(const struct probing *, const struct probe *) = p->tell;
	p->tell = NULL;
	while (next < p->groups || running) {
		if (next < p->groups && running < p->o->parallel) {
			(void)fflush(NULL);
			pid_t pid = fork();
			if (pid == 0) {
				ask_group(p, next);
				(void)fflush(stderr);
				_exit(0);
			}
			if (pid < 0)
				ask_group(p, next); /* no room for one more: ourselves */
			pids[next++] = pid;
			running += pid > 0;
			continue;
		}
		/* Only ours, by number: in turn, which is the order in which they are told. */
		while (told < next && pids[told] <= 0)
			told++;
		if (told < next) {
			while (waitpid(pids[told], NULL, 0) < 0 && errno == EINTR)
				;
			pids[told] = 0;
			running--;
		}
	}
	p->tell = later;
	for (size_t i = 0; i < p->n; i++) {
		struct probe *one = &p->probe[i];
		if (!one->done)
			probe_done(p, one, PROBE_UNVERIFIABLE, CLIENT_CLOSED);
		else if (p->tell && !one->bad)
			p->tell(p, one);
	}
	free(pids);
}

static void
run_groups(struct probing *p)
{
	if (p->o->parallel > 1 && p->groups > 1)
		run_parallel(p);
	else
		run_serial(p);
}

/* --retry: what was answered 4xx, once more. */
static void
run_again(struct probing *p, uint64_t seconds)
{
	size_t n = 0;
	for (size_t i = 0; i < p->n; i++) {
		if (p->probe[i].verdict != PROBE_TEMPORARY)
			continue;
		p->probe[i].done = false;
		p->probe[i].note[0] = '\0';
		n++;
	}
	if (n == 0 || (p->o->link.stop && *p->o->link.stop))
		return;
	if (!p->o->show.quiet && !p->o->json)
		fprintf(stderr, "%zu answered for the time being; once more in %llu s ...\n", n,
		    (unsigned long long)seconds);
	int64_t until = sys_mono_ms() + (int64_t)seconds * 1000;
	while (sys_mono_ms() < until && !(p->o->link.stop && *p->o->link.stop)) {
		struct timespec t = { 0, 100 * 1000000 };
		(void)nanosleep(&t, NULL);
	}
	run_serial(p);
}

/* --- what was asked for --- */

/* The address of a name with umlauts, too; a domain without "@" is none. */
static bool
take_address(struct probe *one, const char *text)
{
	struct str s = str_of(text);
	struct buf err = BUF_INIT(512);
	one->text = text;
	if (s.len > 2 && s.p[0] == '<' && s.p[s.len - 1] == '>')
		s = str_n(s.p + 1, s.len - 2);
	enum addr_verdict v = addr_mailbox(s, ADDR_SMTPUTF8, &one->addr);
	bool ok = v == ADDR_OK && one->addr.domain.len > 0;
	if (ok && one->addr.literal)
		ok = str_copy(one->domain, sizeof(one->domain), one->addr.domain);
	else if (ok)
		ok = dns_name(one->addr.domain, one->domain, &err);
	if (!ok) {
		static const char *const why[ADDR_COUNT] = {
			[ADDR_SYNTAX] = "this is no address; write user@example.com",
			[ADDR_BAD] =
			    "this is no address: a part of it is malformed (RFC 5321 4.1.2)",
			[ADDR_LONG] = "a part of the address is too long (RFC 5321 4.5.3.1)",
			[ADDR_ROUTE] = "the address holds a route (%, ! or a second @)",
			[ADDR_BAIT] = "the address looks like a program, a file or shell text",
			[ADDR_UTF8] = "the address is not ASCII",
		};
		const char *text_of =
		    v == ADDR_OK ? "the address has no domain that there can be" : why[v];
		str_copy(one->note, sizeof(one->note), str_of(text_of));
		str_copy(one->step, sizeof(one->step), STR("syntax"));
		one->bad = one->done = true;
		one->verdict = PROBE_REJECTED;
		one->group = SIZE_MAX;
	}
	buf_done(&err);
	return ok;
}

static void
take_group(struct probing *p, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (!p->probe[j].bad && (p->server || str_ieq(str_of(p->probe[j].domain),
							  str_of(p->probe[i].domain)))) {
			p->probe[i].group = p->probe[j].group;
			return;
		}
	p->probe[i].group = p->groups++;
}

static void
take_addresses(struct probing *p)
{
	const struct cli_words *w = &p->o->words;
	for (size_t i = 0; i < w->n; i++) {
		p->n = i + 1;
		if (take_address(&p->probe[i], w->v[i]))
			take_group(p, i);
	}
}

static bool
take_sender(struct probing *p)
{
	struct addr a;
	struct str from = str_of(p->o->from ? p->o->from : "");
	p->from = from.len ? from.p : "";
	if (str_eq(from, STR("<>")))
		p->from = "";
	else if (from.len && addr_mailbox(from, ADDR_SMTPUTF8, &a) != ADDR_OK)
		return usage_error(p->o->cmd, "--from %s is no address", p->o->from), false;
	return true;
}

static int
prepare(struct probing *p, const char *wait, uint64_t *ret_wait)
{
	struct client_options *o = p->o;
	struct dns d;
	struct buf err = BUF_INIT(512);
	int status = CLIENT_OK;
	if (o->words.n == 0)
		return usage_error(o->cmd, "name an address");
	if (!num_u64(str_of(wait), RETRY_MAX, ret_wait))
		return usage_error(o->cmd, "--retry-wait %s: write seconds, %d at most", wait,
		    RETRY_MAX);
	if (o->transcript && o->parallel > 1)
		return usage_error(o->cmd, "--transcript and --parallel do not go together");
	if (!take_sender(p))
		return CLIENT_USAGE;
	if (strcmp(o->method, "rcpt") != 0)
		p->verb = strcmp(o->method, "vrfy") == 0 ? "VRFY" : "EXPN";
	o->link.delay_ms = 0; /* here it stands between questions */
	if (p->server && o->vouch.mta_sts)
		return usage_error(o->cmd,
		    "--mta-sts is about the servers of a domain: it does not go with --server");
	if (p->server) {
		o->server = p->server;
		status = options_server(o, o->words.n, 25);
	} else if (!dns_init(&d, &o->link, o->dns, &err)) {
		complain_lines(buf_str(&err));
		status = CLIENT_USAGE;
	}
	buf_done(&err);
	return status;
}

static int
probe_all(struct probing *p, uint64_t wait)
{
	struct probe_tally tally = { 0 };
	size_t size = (p->o->words.n + 1) * sizeof(*p->probe);
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED) {
		complain("no memory for %zu addresses: %s", p->o->words.n, strerror(errno));
		return CLIENT_IO;
	}
	p->probe = at;
	take_addresses(p);
	p->tell = p->o->retry ? NULL : tell;
	for (size_t i = 0; i < p->n; i++)
		if (p->probe[i].bad)
			tell(p, &p->probe[i]);
	run_groups(p);
	if (p->o->retry) {
		run_again(p, wait);
		for (size_t i = 0; i < p->n; i++)
			if (!p->probe[i].bad)
				tell(p, &p->probe[i]);
	}
	epilogue(p);
	for (size_t i = 0; i < p->n; i++)
		probe_count(&tally, p->probe[i].verdict, p->probe[i].trouble);
	(void)munmap(at, size);
	return probe_exit(&tally, p->o->temp_exit);
}

static int
run(int argc, char **argv)
{
	struct client_options *o = xalloc(sizeof(*o));
	struct probing p = { .o = o };
	const char *wait = NULL;
	uint64_t seconds;
	const struct cli_opt extra[] = {
		{ "--server", OPT_VALUE, &p.server },
		{ "--retry-wait", OPT_VALUE, &wait },
		{ NULL, OPT_FLAG, NULL },
	};
	int status = options_parse_with(o, cli_cmd_find("probe"),
	    OPTIONS_CONNECT | OPTIONS_HELLO | OPTIONS_OUTPUT | OPTIONS_PROBE, extra, argc, argv);
	if (status == CLIENT_OK)
		status = prepare(&p, wait ? wait : RETRY_SECONDS, &seconds);
	if (status == CLIENT_OK) {
		say_setup(o);
		status = probe_all(&p, seconds);
	}
	status = options_done(o, status);
	free(o);
	return status;
}

const struct cli_cmd cmd_probe = {
	.name = "probe",
	.summary = "Ask whether the servers of a domain would take mail for an address",
	.usage = "[OPTION]... ADDRESS...",
	.help =
	    "For each address: its syntax, the MX of its domain, and each of these hosts until "
	    "one\n"
	    "answers: EHLO, STARTTLS if it is offered, MAIL FROM:<>, RCPT, RSET, QUIT. Never "
	    "AUTH,\n"
	    "never DATA: no letter is sent. Addresses of one domain go through one session.\n"
	    "\n"
	    "  accepted           the server takes mail for it; no proof that it would be "
	    "delivered\n"
	    "  accepted-catchall  ... and for an address that nobody has (--catchall-test)\n"
	    "  rejected           no such address, mailbox or domain\n"
	    "  policy             refused for who asks, not for the address (5.7.x, or before "
	    "RCPT)\n"
	    "  temporary          4xx: later, often greylisting (--retry)\n"
	    "  unverifiable       the server does not tell (252), or could not be asked\n"
	    "\n"
	    "  --server HOST[:PORT]  ask this server, whatever the MX says\n"
	    "  --from ADDRESS        the sender to ask with, instead of <>\n"
	    "  --catchall-test       ask for a random address of the domain first\n"
	    "  --method rcpt|vrfy|expn  which command asks\n"
	    "  --parallel N          ask N domains at a time\n"
	    "  --delay MS            wait so long before each question\n"
	    "  --retry               ask once more what was answered 4xx, --retry-wait SEC (300) "
	    "later\n"
	    "  --temp-exit           exit with 13 when something was answered 4xx\n"
	    "  --dns HOST[:PORT]     ask this name server; --resolve NAME:ADDR answers for NAME\n"
	    "  --port N              instead of 25; -4, -6; --tls=may|must|never; --ehlo NAME\n"
	    "  --dane, --mta-sts     ask only hosts for which TLSA records, the policy vouch\n"
	    "  --timeout SEC         for each step; --verbose shows the conversation; --json\n"
	    "\n"
	    "Exit status: 0 none was refused, 10 all were, 11 some were; 2 the domain was not "
	    "found\n"
	    "out, 3 no server could be reached, 4 to 15 see pennypost-probe(1).\n"
	    "\n"
	    "Examples: pennypost probe --catchall-test joe@example.com\n"
	    "          pennypost probe --server localhost:2525 joe@example.com jane@example.com\n",
	.words = "--server= --from= --catchall-test --method=rcpt|vrfy|expn --parallel= --delay= "
		 "--retry --retry-wait= "
		 "--temp-exit --dns= --resolve= --port= -4 -6 --tls=may|must|never --dane "
		 "--mta-sts --ehlo= --timeout= "
		 "--verbose --json",
	.run = run,
	.client = true,
};
