/* roundtrip: sends a letter, waits until it is in a mailbox, fetches it, and compares. */
#include "oneshot/roundtrip_priv.h"

#include "base/check.h"
#include "base/date.h"
#include "base/num.h"
#include "client/options_text.h"
#include "client/smtp.h"
#include "oneshot/say.h"
#include "sys/clock.h"
#include "sys/random.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LETTER_MAX (64u << 20)
#define POLL_FIRST_MS 500
#define POLL_MOST_MS 10000
#define IDLE_MS 10000 /* of one IDLE, so that a server that tells nothing is asked all the same */

static int
fail(struct roundtrip *r, int status, const char *step, struct str why)
{
	r->step = step;
	buf_reset(&r->why);
	buf_puts(&r->why, why);
	return status;
}

/* --- the letter --- */

/* Lines that are damaged first where something damages letters. */
static const char body_lines[] =
    "This letter was sent by `pennypost roundtrip`, to see how it arrives.\r\n"
    ".A line that begins with a dot,\r\n"
    "..and one with two.\r\n"
    "From here on there is a line that mbox files quote,\r\n"
    "\ta tab, and blanks at the end of this line:   \r\n"
    "=3D and =20 are no quoted-printable here.\r\n"
    "\r\n";

static void
make_letter(struct roundtrip *r, bool eight_bit)
{
	const struct client_options *o = r->o;
	int64_t now = sys_wall_ms() / 1000;
	r->sent_at = now;
	snprintf(r->token, sizeof(r->token), "%016" PRIx64 "%016" PRIx64, random_u64(),
	    random_u64());
	struct str domain = str_of(o->from ? strrchr(o->from, '@') : NULL);
	domain = domain.len > 1 ? str_skip(domain, 1) : STR("pennypost.invalid");
	buf_reset(&r->message_id);
	buf_putf(&r->message_id, "<roundtrip.%s@" STR_FMT ">", r->token, STR_ARG(domain));
	buf_reset(&r->letter);
	buf_putf(&r->letter, "From: <%s>\r\nTo: <%s>\r\nDate: ", o->from ? o->from : r->to, r->to);
	date_rfc5322(&r->letter, now, sys_zone_minutes(now));
	buf_putf(&r->letter,
	    "\r\nSubject: pennypost roundtrip %s\r\nMessage-ID: " STR_FMT
	    "\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n"
	    "Auto-Submitted: auto-generated\r\n\r\n%s",
	    r->token, STR_ARG(buf_str(&r->message_id)), eight_bit ? "8bit" : "7bit", body_lines);
	if (eight_bit)
		buf_putz(&r->letter, "Octets above 127: \xc3\xa4\xc3\xb6\xc3\xbc \xe2\x82\xac\r\n");
	buf_putf(&r->letter, "Token: %s\r\n", r->token);
}

/* --- sending --- */

static int
send_it(struct roundtrip *r)
{
	struct client_options *o = r->o;
	struct smtp_run run = { 0 };
	struct smtp_client_envelope e = { 0 };
	struct smtp_client_rcpt rcpt = { 0 };
	struct buf err = BUF_INIT(500);
	int status = smtp_run_open(&run, o);
	if (status == CLIENT_OK)
		status = smtp_run_go(&run, SMTP_STEP_AUTH);
	if (status == CLIENT_OK && !smtp_run_envelope(o, &e, &rcpt, &err))
		status = fail(r, CLIENT_USAGE, "mail", buf_str(&err));
	else if (status != CLIENT_OK)
		fail(r, status, smtp_step_name[run.step], buf_str(&run.why));
	if (status == CLIENT_OK) {
		bool eight_bit = caps_have(smtp_client_caps(run.c), CAPS_8BITMIME);
		make_letter(r, eight_bit);
		rcpt.addr = str_of(r->to);
		e.rcpts = &rcpt;
		e.n_rcpts = 1;
		e.size = o->no_size ? 0 : r->letter.len;
		e.body = eight_bit ? SMTP_BODY_8BIT : SMTP_BODY_UNSAID;
		status = smtp_run_letter(&run, &e, buf_str(&r->letter), SMTP_STEP_DOT);
		r->accepted_us = sys_mono_us();
		if (status != CLIENT_OK)
			fail(r, status, smtp_step_name[run.step], buf_str(&run.why));
	}
	r->temporary = run.temporary;
	if (run.c && status != CLIENT_INTERRUPTED && status != CLIENT_TIMEOUT)
		smtp_run_quit(&run);
	smtp_run_close(&run);
	buf_done(&err);
	return status;
}

/* --- reading --- */

static int
reading_failed(struct roundtrip *r, int status)
{
	return fail(r, status, r->m.step ? r->m.step : "read", buf_str(&r->m.why));
}

static void
reading_close(struct roundtrip *r)
{
	if (!r->open)
		return;
	mailread_done(&r->m);
	link_close(&r->link);
	r->open = false;
}

static int
reading_open(struct roundtrip *r)
{
	struct client_options *o = r->o;
	enum client_proto proto = r->url.imap ? PROTO_IMAP : PROTO_POP3;
	struct mailread_login login = { .user = buf_str(&r->url.user),
		.secret = buf_str(&r->read_secret),
		.allow_cleartext = o->allow_cleartext };
	r->conf = o->link;
	r->conf.host = buf_cstr(&r->url.host);
	r->conf.port = r->url.port;
	/* These speak of the server that sends. */
	r->conf.proxy = 0;
	r->conf.segment = 0;
	r->conf.delay_ms = 0;
	r->conf.eol = LINK_CRLF;
	r->conf.sni = r->conf.verify_name = NULL;
	r->conf.n_pins = 0;
	r->conf.vouch = NULL;
	r->conf.insecure = o->insecure;
	int status = link_open(&r->link, &r->conf, &o->events);
	if (status == CLIENT_OK && r->url.tls)
		status = link_tls(&r->link, r->url.imap ? "imap" : "pop3");
	if (status != CLIENT_OK) {
		fail(r, status, "connect", buf_str(&r->link.why));
		link_close(&r->link);
		return status;
	}
	mailread_init(&r->m, &r->link, proto, r->conf.host);
	r->open = true;
	enum client_tls tls = r->url.tls ? CLIENT_TLS_IMPLICIT
	                      : o->tls == CLIENT_TLS_MUST || o->tls == CLIENT_TLS_NEVER
	                          ? o->tls
	                          : CLIENT_TLS_MAY;
	status = mailread_begin(&r->m, tls);
	if (status == CLIENT_OK)
		status = mailread_login(&r->m, &login);
	if (status == CLIENT_OK)
		status = mailread_select(&r->m, buf_str(&r->url.mailbox));
	return status == CLIENT_OK ? CLIENT_OK : reading_failed(r, status);
}

static int
look(struct roundtrip *r)
{
	struct buf subject = BUF_INIT(200);
	int status = mailread_find(&r->m, STR("Message-ID"), buf_str(&r->message_id), &r->id);
	/* Some servers give letters an id of their own. POP3 has looked at the letter already. */
	if (status == CLIENT_OK && r->id == 0 && r->url.imap) {
		buf_putz(&subject, r->token);
		status = mailread_find(&r->m, STR("Subject"), buf_str(&subject), &r->id);
	}
	buf_done(&subject);
	return status == CLIENT_OK ? CLIENT_OK : reading_failed(r, status);
}

/* POP3 shows what was there at the login: each look is a session. */
static int
wait_more(struct roundtrip *r, int64_t ms)
{
	if (r->url.imap) {
		int status = mailread_wait(&r->m, r->m.has_idle ? MIN(ms, IDLE_MS) : ms);
		return status == CLIENT_OK ? CLIENT_OK : reading_failed(r, status);
	}
	(void)mailread_bye(&r->m);
	int status = mailread_wait(&r->m, ms);
	if (status != CLIENT_OK)
		return reading_failed(r, status);
	reading_close(r);
	return reading_open(r);
}

static int
wait_for_it(struct roundtrip *r)
{
	int64_t until = sys_mono_ms() + (int64_t)r->wait_s * 1000, pause = POLL_FIRST_MS;
	for (;;) {
		int status = look(r);
		int64_t left = until - sys_mono_ms();
		if (status != CLIENT_OK || r->id != 0) {
			r->found_us = sys_mono_us();
			return status;
		}
		if (left <= 0)
			break;
		bool idle = r->url.imap && r->m.has_idle;
		status = wait_more(r, MIN(left, idle ? left : pause));
		if (status != CLIENT_OK)
			return status;
		pause = MIN(pause * 2, POLL_MOST_MS);
	}
	struct buf text = BUF_INIT(500);
	buf_putf(&text,
	    "the letter was accepted, and did not come within %" PRIu64 " s; --wait allows more, "
	    "and the log of the server knows of %s",
	    r->wait_s, buf_cstr(&r->message_id));
	fail(r, CLIENT_TIMEOUT, "find", buf_str(&text));
	buf_done(&text);
	return CLIENT_TIMEOUT;
}

static void
take(void *arg, struct str piece)
{
	struct roundtrip *r = arg;
	buf_puts(&r->came, piece);
}

static int
fetch_it(struct roundtrip *r)
{
	int status = mailread_fetch(&r->m, r->id, take, r, &r->octets);
	r->fetched_us = sys_mono_us();
	if (status != CLIENT_OK)
		return reading_failed(r, status);
	if (r->came.failed)
		return fail(r, CLIENT_EXPECT, "fetch", STR("what came is larger than 64 MiB"));
	if (!r->keep) {
		status = mailread_delete(&r->m, r->id);
		r->deleted = status == CLIENT_OK;
		if (status != CLIENT_OK)
			event_warn(&r->o->events, "delete", STR_FMT, STR_ARG(buf_str(&r->m.why)));
	}
	status = mailread_bye(&r->m);
	return status == CLIENT_OK ? CLIENT_OK : reading_failed(r, status);
}

/* --- one round --- */

static int
round_trip(struct roundtrip *r)
{
	int status = reading_open(r); /* first: a letter that nobody can fetch need not be sent */
	if (status == CLIENT_OK && !r->url.imap) {
		(void)
		    mailread_bye(&r->m); /* POP3 locks the mailbox, and would not show the letter */
		reading_close(r);
	}
	r->start_us = sys_mono_us();
	if (status == CLIENT_OK)
		status = send_it(r);
	if (status == CLIENT_OK && !r->url.imap)
		status = reading_open(r);
	if (status == CLIENT_OK)
		status = wait_for_it(r);
	if (status == CLIENT_OK)
		status = fetch_it(r);
	reading_close(r);
	if (status != CLIENT_OK)
		return status;
	roundtrip_compare(buf_str(&r->letter), buf_str(&r->came), r->sent_at, &r->found);
	if (r->found.body == ROUNDTRIP_EXACT)
		return CLIENT_OK;
	return fail(r, CLIENT_EXPECT, "compare", str_of(roundtrip_body_text[r->found.body]));
}

static int
once(struct roundtrip *r)
{
	r->start_us = r->accepted_us = r->found_us = r->fetched_us = 0;
	r->id = r->octets = 0;
	r->deleted = r->temporary = false;
	r->step = NULL;
	r->token[0] = '\0';
	buf_reset(&r->came);
	roundtrip_found_init(&r->found);
	int status = round_trip(r);
	if (r->o->json)
		roundtrip_tell_json(r, status);
	else if (!r->o->show.quiet)
		roundtrip_tell(r, status);
	roundtrip_found_done(&r->found);
	if (status != CLIENT_OK && (status != CLIENT_EXPECT || !r->fetched_us))
		roundtrip_tell_trouble(r, status);
	fflush(stdout);
	return status != CLIENT_OK && r->temporary && r->o->temp_exit ? CLIENT_TEMPORARY : status;
}

/* --- the command line --- */

static int
take_secret(struct roundtrip *r)
{
	struct buf prompt = BUF_INIT(2048), err = BUF_INIT(2048);
	const char *env = getenv("PENNYPOST_READ_PASSWORD");
	struct secret_from from = { .file = r->read_password_file, .fd = r->read_password_fd };
	int status = CLIENT_OK;
	buf_putf(&prompt, "Password of " STR_FMT " at " STR_FMT ": ",
	    STR_ARG(buf_str(&r->url.user)), STR_ARG(buf_str(&r->url.host)));
	from.prompt = buf_cstr(&prompt);
	if (env && !from.file && !from.fd)
		buf_putz(&r->read_secret, env);
	else
		status = secret_get(&from, &r->read_secret, &err);
	if (status != CLIENT_OK)
		complain(STR_FMT, STR_ARG(buf_str(&err)));
	buf_done(&prompt);
	buf_done(&err);
	return status;
}

static int
take_options(struct roundtrip *r)
{
	struct client_options *o = r->o;
	r->wait_s = 120;
	o->repeat = 1;
	if (!r->read)
		return usage_error(o->cmd, "where is it read? --read imaps://USER@HOST/INBOX");
	const char *wrong = roundtrip_url_read(str_of(r->read), &r->url);
	if (wrong)
		return usage_error(o->cmd, "--read %s: %s", r->read, wrong);
	if (o->to.n != 1 || strchr(o->to.v[0], ','))
		return usage_error(o->cmd, "one letter goes to one address: --to ADDRESS");
	r->to = o->to.v[0];
	if (!o->from && !o->null_sender)
		o->from = r->to;
	if (r->wait && !num_seconds(str_of(r->wait), &r->wait_s))
		return usage_error(o->cmd, "--wait %s: seconds, or 2m", r->wait);
	if (r->times && (!num_u64(str_of(r->times), 1000000, &o->repeat) || o->repeat == 0))
		return usage_error(o->cmd, "--repeat %s: a number from 1 to 1000000", r->times);
	if (r->keep && r->delete)
		return usage_error(o->cmd, "--keep or --delete, not both");
	int status = options_one_server(o);
	if (status == CLIENT_OK)
		status = options_server(o, 0, 25);
	if (status == CLIENT_OK && o->proto != PROTO_SMTP && o->proto != PROTO_LMTP)
		status = usage_error(o->cmd, "letters are sent by SMTP or LMTP, not by %s",
		    client_proto_name[o->proto]);
	return status == CLIENT_OK ? take_secret(r) : status;
}

static int
run(int argc, char **argv)
{
	struct client_options *o = xalloc(sizeof(*o));
	struct roundtrip *r = xalloc(sizeof(*r));
	const struct cli_opt extra[] = {
		{ "--read", OPT_VALUE, &r->read },
		{ "--read-password-file", OPT_VALUE, &r->read_password_file },
		{ "--read-password-fd", OPT_VALUE, &r->read_password_fd },
		{ "--wait", OPT_VALUE, &r->wait },
		{ "--repeat", OPT_VALUE, &r->times },
		{ "--keep", OPT_FLAG, &r->keep },
		{ "--delete", OPT_FLAG, &r->delete },
		{ 0 },
	};
	r->o = o;
	roundtrip_url_init(&r->url);
	buf_init(&r->read_secret, 4096);
	buf_init(&r->letter, 65536);
	buf_init(&r->came, LETTER_MAX);
	buf_init(&r->message_id, 1024);
	buf_init(&r->why, 8192);
	int status = options_parse_with(o, cli_cmd_find("roundtrip"),
	    OPTIONS_CONNECT | OPTIONS_HELLO | OPTIONS_AUTH | OPTIONS_ENVELOPE | OPTIONS_OUTPUT,
	    extra, argc, argv);
	if (status == CLIENT_OK)
		status = take_options(r);
	if (status == CLIENT_OK) {
		say_setup(o);
		for (uint64_t i = 0; i < o->repeat; i++) {
			int now = once(r);
			status = status ? status : now;
			if (now == CLIENT_INTERRUPTED || now == CLIENT_USAGE)
				break;
		}
	}
	status = options_done(o, status);
	buf_wipe(&r->read_secret);
	struct buf *all[] = { &r->read_secret, &r->letter, &r->came, &r->message_id, &r->why };
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		buf_done(all[i]);
	roundtrip_url_done(&r->url);
	free(r);
	free(o);
	return status;
}

const struct cli_cmd cmd_roundtrip = {
	.name = "roundtrip",
	.summary = "Send a letter, fetch it back, and say how long it took and what changed",
	.usage = "[OPTION]... --to ADDRESS --read URL HOST[:PORT]",
	.help = "A letter with a random token goes to HOST; then the mailbox is watched (IDLE, or "
		"looking again)\n"
		"until it is there. It is fetched, compared octet by octet, and deleted.\n"
		"\n"
		"Reading:\n"
		"  --read URL           imaps://USER@HOST[:PORT][/MAILBOX], imap:, pop3s: or pop3: "
		"(STARTTLS is\n"
		"                       used where it is offered; --tls=must insists). USER may "
		"have a @\n"
		"  --read-password-file F, --read-password-fd N   its password; "
		"$PENNYPOST_READ_PASSWORD;\n"
		"                       else $PENNYPOST_PASSWORD, or it is asked for\n"
		"  --wait SEC           how long the letter may take (120)\n"
		"  --keep               leave the letter in the mailbox; else it is deleted "
		"(--delete)\n"
		"  --repeat N           as often; the first failure decides the exit status\n"
		"\n" OPTIONS_HELP_CONNECT "\n" OPTIONS_HELP_HELLO "\n" OPTIONS_HELP_AUTH
		"\n" OPTIONS_HELP_ENVELOPE "\n" OPTIONS_HELP_OUTPUT "\n"
		"Exit status: 0 it came as it was sent; 2 to 14 as those of send, of either "
		"server; 15 it did not\n"
		"come in time; 16 it came changed, or the mailbox could not be read.\n"
		"\n"
		"Examples:\n"
		"  pennypost roundtrip --to joe@example.com --read imaps://joe@imap.example.com "
		"mail.example.com\n"
		"  pennypost roundtrip --auth --user me@example.org --to joe@example.com --wait "
		"300 --json \\\n"
		"      --read pop3s://joe@example.com@pop.example.com --starttls "
		"mail.example.org:587\n",
	.words = "--read= --read-password-file= --read-password-fd= --wait= --keep --delete "
		 "--repeat= " OPTIONS_WORDS_CONNECT " " OPTIONS_WORDS_HELLO " " OPTIONS_WORDS_AUTH
		 " " OPTIONS_WORDS_ENVELOPE " " OPTIONS_WORDS_OUTPUT,
	.run = run,
	.client = true,
};
