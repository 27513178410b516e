/* One session with one host: no AUTH and no DATA, ever (K0-24). */
#include "oneshot/probe_priv.h"

#include "base/utf8.h"
#include "sys/clock.h"
#include "sys/random.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define RCPTS_MAX 50    /* of one transaction: so many everybody takes (RFC 5321 4.5.3.1.8: 100) */
#define SESSIONS_MAX 20 /* that one host may end early */

struct asking {
	struct probing *p;
	size_t group;
	struct smtp_run run;
	const char *host;
	unsigned rcpts; /* of the transaction that is open */
	bool mail;      /* one is open */
	bool catchall_done;
	int random_code;
	char random_enhanced[16];
	bool answered; /* at least one address has its verdict here */
};

struct probe *
probe_next(struct probing *p, size_t group)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->probe[i].group == group && !p->probe[i].done)
			return &p->probe[i];
	return NULL;
}

void
probe_done(struct probing *p, struct probe *one, enum probe_verdict v, int trouble)
{
	one->verdict = v;
	one->trouble = trouble;
	one->done = true;
	if (p->tell)
		p->tell(p, one);
}

void
probe_rest(struct probing *p, size_t group, enum probe_verdict v, int trouble, const char *host,
    const char *step, struct str note)
{
	struct probe *one;
	while ((one = probe_next(p, group))) {
		str_copy(one->host, sizeof(one->host), str_of(host));
		str_copy(one->step, sizeof(one->step), str_of(step));
		str_copy(one->note, sizeof(one->note), str_first(note, sizeof(one->note) - 1));
		probe_done(p, one, v, trouble);
	}
}

/* --- what is sent, what is kept --- */

/* --delay: servers count who asks fast. */
static void
pause_ms(const struct client_options *o)
{
	int64_t until = sys_mono_ms() + (int64_t)o->delay_ms;
	while (sys_mono_ms() < until && !(o->link.stop && *o->link.stop)) {
		int64_t ms = MIN(until - sys_mono_ms(), 100);
		struct timespec t = { 0, MAX(ms, 1) * 1000000 };
		(void)nanosleep(&t, NULL);
	}
}

static int say(struct asking *a, const char *fmt, ...) PRINTF(2, 3);
static int
say(struct asking *a, const char *fmt, ...)
{
	struct buf line = BUF_INIT(4096);
	va_list ap;
	va_start(ap, fmt);
	buf_vputf(&line, fmt, ap);
	va_end(ap);
	int status = smtp_run_command(&a->run, buf_str(&line));
	buf_done(&line);
	return status;
}

static void
keep_answer(struct asking *a, struct probe *one, const char *step)
{
	const struct answer *answer = a->run.c ? smtp_client_answer(a->run.c) : NULL;
	str_copy(one->host, sizeof(one->host), str_of(a->host));
	str_copy(one->step, sizeof(one->step), str_of(step));
	one->tls = a->run.c && smtp_client_is_secured(a->run.c);
	one->random_code = a->random_code;
	memcpy(one->random_enhanced, a->random_enhanced, sizeof(one->random_enhanced));
	one->code = answer ? answer->code : 0;
	one->enhanced[0] = one->reply[0] = '\0';
	if (!answer)
		return;
	memcpy(one->enhanced, answer->enhanced, sizeof(one->enhanced));
	struct str text = buf_str(&answer->text), first = str_cut(&text, '\n');
	struct buf shown = BUF_INIT(4 * sizeof(one->reply));
	show_escape(&shown, str_first(first, 300));
	struct str s = str_first(buf_str(&shown), sizeof(one->reply) - 1);
	while (s.len && !utf8_valid(s))
		s.len--;
	str_copy(one->reply, sizeof(one->reply), s);
	buf_done(&shown);
}

/* "joe@xn--bcher-kva.example": the domain as the name service and every server knows it. */
static void
put_address(struct buf *b, const struct probe *one)
{
	if (one->addr.literal || one->addr.domain.len == 0)
		buf_puts(b, one->addr.whole);
	else
		buf_putf(b, STR_FMT "@%s", STR_ARG(one->addr.local), one->domain);
}

/* --- catch-all --- */

static bool
random_address(struct asking *a)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	const struct probe *one = probe_next(a->p, a->group);
	char name[25];
	unsigned char octets[sizeof(name) - 1];
	random_bytes(octets, sizeof(octets));
	for (size_t i = 0; i < sizeof(octets); i++)
		name[i] = letters[octets[i] % (sizeof(letters) - 1)];
	name[sizeof(octets)] = '\0';
	if (!one)
		return true;
	int status = one->addr.literal
	                 ? say(a, "RCPT TO:<%s@" STR_FMT ">", name, STR_ARG(one->addr.domain))
	                 : say(a, "RCPT TO:<%s@%s>", name, one->domain);
	if (status != CLIENT_OK)
		return false;
	const struct answer *answer = smtp_client_answer(a->run.c);
	a->random_code = answer->code;
	memcpy(a->random_enhanced, answer->enhanced, sizeof(a->random_enhanced));
	a->rcpts++;
	a->catchall_done = true;
	return true;
}

/* --- one address --- */

static bool
begin_mail(struct asking *a)
{
	struct probe *one;
	bool utf8 = false;
	if (a->mail && a->rcpts < RCPTS_MAX)
		return true;
	if (a->mail && smtp_run_rset(&a->run) != CLIENT_OK)
		return false;
	a->mail = false;
	for (size_t i = 0; i < a->p->n; i++)
		utf8 |= a->p->probe[i].group == a->group && a->p->probe[i].addr.utf8;
	utf8 = utf8 && caps_have(smtp_client_caps(a->run.c), CAPS_SMTPUTF8);
	if (say(a, "MAIL FROM:<%s>%s", a->p->from, utf8 ? " SMTPUTF8" : "") != CLIENT_OK)
		return false;
	a->rcpts = 0;
	a->mail = answer_good(smtp_client_answer(a->run.c));
	if (a->mail)
		return !a->p->o->catchall_test || a->catchall_done || random_address(a);
	const struct answer *no = smtp_client_answer(a->run.c);
	enum probe_verdict v = probe_judge(PROBE_BEFORE, no->code, str_of(no->enhanced));
	while ((one = probe_next(a->p, a->group))) {
		keep_answer(a, one, "mail");
		probe_done(a->p, one, v, CLIENT_OK);
	}
	a->answered = true;
	return true;
}

/* Non-ASCII local parts cannot be asked for where SMTPUTF8 is not. */
static bool
cannot_say(struct asking *a, struct probe *one)
{
	if (utf8_is_ascii(one->addr.local) || caps_have(smtp_client_caps(a->run.c), CAPS_SMTPUTF8))
		return false;
	keep_answer(a, one, "rcpt");
	one->code = 0;
	one->enhanced[0] = one->reply[0] = '\0';
	str_copy(one->note, sizeof(one->note),
	    STR("the server does not offer SMTPUTF8, which this address needs (RFC 6531)"));
	probe_done(a->p, one, PROBE_REJECTED, CLIENT_OK);
	return true;
}

static void
judge(struct asking *a, struct probe *one, const char *step)
{
	keep_answer(a, one, step);
	enum probe_verdict v = probe_judge(PROBE_RCPT, one->code, str_of(one->enhanced));
	if (v == PROBE_ACCEPTED && a->random_code / 100 == 2)
		v = PROBE_CATCHALL;
	if (v == PROBE_TEMPORARY && (one->code == 450 || one->code == 451))
		str_copy(one->note, sizeof(one->note),
		    STR("often greylisting: the same question some minutes later is answered; "
			"--retry"));
	if (v == PROBE_UNVERIFIABLE && one->code == 252)
		str_copy(one->note, sizeof(one->note),
		    STR("the server does not say whether it exists (RFC 5321 3.5.3)"));
	a->answered = true;
	probe_done(a->p, one, v, CLIENT_OK);
}

/* False: the session is over. */
static bool
ask_one(struct asking *a)
{
	struct probe *one = probe_next(a->p, a->group);
	struct buf to = BUF_INIT(1024);
	const char *verb = a->p->verb;
	bool again = false, ok = true;
	if (cannot_say(a, one))
		return true;
	put_address(&to, one);
	do {
		if (!verb)
			ok = begin_mail(a);
		if (!ok || one->done)
			break;
		pause_ms(a->p->o);
		ok = (verb ? say(a, "%s " STR_FMT, verb, STR_ARG(buf_str(&to)))
			   : say(a, "RCPT TO:<" STR_FMT ">", STR_ARG(buf_str(&to)))) == CLIENT_OK;
		/* Too many for one transaction (RFC 5321 4.5.3.1.10): they go into another. */
		again = !again && ok && !verb && a->rcpts > 0 &&
		        smtp_client_answer(a->run.c)->code == 452;
		if (again)
			a->rcpts = RCPTS_MAX;
		else if (ok)
			judge(a, one,
			    verb ? (strcmp(verb, "VRFY") == 0 ? "vrfy" : "expn") : "rcpt");
		a->rcpts++;
	} while (again);
	buf_done(&to);
	return ok;
}

/* --- one session --- */

/* Greeting, EHLO, STARTTLS. A handshake that fails where TLS MAY be: again without it, as mail
 * servers do. */
static int
begin(struct asking *a, struct client_options *o)
{
	memset(&a->run, 0, sizeof(a->run));
	a->run.no_auth = true;
	int status = smtp_run_open(&a->run, o);
	if (status == CLIENT_OK)
		status = smtp_run_go(&a->run, SMTP_STEP_STARTTLS);
	if (status != CLIENT_TLS || o->tls != CLIENT_TLS_MAY)
		return status;
	event_warn(&o->events, "starttls", "TLS failed; once more without it");
	smtp_run_close(&a->run);
	o->tls = CLIENT_TLS_NEVER;
	memset(&a->run, 0, sizeof(a->run));
	a->run.no_auth = true;
	status = smtp_run_open(&a->run, o);
	return status == CLIENT_OK ? smtp_run_go(&a->run, SMTP_STEP_STARTTLS) : status;
}

/* What the session ended with is the verdict on what is left: not on what this host has not
 * answered because it is not there. */
static void
ended(struct asking *a, int status)
{
	const struct answer *answer = a->run.c ? smtp_client_answer(a->run.c) : NULL;
	int code = answer && answer->code >= 400 ? answer->code : 0;
	enum probe_verdict v = probe_judge(PROBE_BEFORE, code, STR(""));
	struct probe *one;
	while ((one = probe_next(a->p, a->group))) {
		keep_answer(a, one, smtp_step_name[a->run.step]);
		struct str why = buf_str(&a->run.why);
		if (code == 0) {
			one->code = 0;
			one->reply[0] = one->enhanced[0] = '\0';
			str_copy(one->note, sizeof(one->note),
			    str_first(why, sizeof(one->note) - 1));
		}
		probe_done(a->p, one, v, v == PROBE_UNVERIFIABLE ? status : CLIENT_OK);
	}
}

static int
session(struct asking *a, struct client_options *o)
{
	a->mail = false;
	a->rcpts = 0;
	int status = begin(a, o);
	bool ok = status == CLIENT_OK;
	while (ok && probe_next(a->p, a->group)) {
		ok = ask_one(a);
		status = ok ? CLIENT_OK : a->run.status;
		if (o->link.stop && *o->link.stop)
			ok = false;
	}
	if (ok && a->mail)
		(void)smtp_run_rset(&a->run);
	if (o->link.stop && *o->link.stop)
		status = CLIENT_INTERRUPTED;
	return status;
}

bool
probe_host(struct probing *p, size_t group, const struct client_options *given, bool last)
{
	struct asking a = { .p = p, .group = group, .host = given->link.host };
	bool ever = false;
	for (unsigned i = 0; i < SESSIONS_MAX && probe_next(p, group); i++) {
		struct client_options o = *given;
		a.answered = false;
		int status = session(&a, &o);
		ever |= a.answered;
		/* A server that counts may end it; who has answered something is asked once more.
		 */
		bool give_up =
		    probe_next(p, group) && (!a.answered || status == CLIENT_INTERRUPTED);
		if (give_up && (last || ever || status == CLIENT_INTERRUPTED))
			ended(&a, status);
		(void)smtp_run_quit(&a.run);
		smtp_run_close(&a.run);
		if (give_up && probe_next(p, group))
			return false;
	}
	probe_rest(p, group, PROBE_UNVERIFIABLE, CLIENT_CLOSED, a.host, "rcpt",
	    STR("the server ended one session after the other"));
	return true;
}
