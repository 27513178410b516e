/* trace: what happened to a letter, found by anything that is known of it. */
#include "ctl/ctl_priv.h"

#include "base/check.h"
#include "base/num.h"
#include "sys/listen.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LIMIT "100"    /* letters, unless --limit says otherwise */
#define WHOLE_JSON 100 /* letters that JSON has with all that is known of them */
#define LOOK_MS 300
#define ARGS_MAX 12
#define ARG_MAX 1100

/* --- the question --- */

struct question {
	char text[ARGS_MAX][ARG_MAX];
	struct str arg[ARGS_MAX];
	size_t n;
};

static bool
ask_for(struct question *q, const char *name, const char *value)
{
	if (!value)
		return true;
	check(q->n < ARGS_MAX);
	int n = snprintf(q->text[q->n], ARG_MAX, "%s=%s", name, value);
	if (n >= ARG_MAX) {
		complain("%.20s... is too long to be found", value);
		return false;
	}
	q->arg[q->n] = str_of(q->text[q->n]);
	q->n++;
	return true;
}

static bool
ask_number(struct question *q, const char *name, uint64_t value)
{
	char text[24];
	snprintf(text, sizeof(text), "%" PRIu64, value);
	return ask_for(q, name, text);
}

/* A day or a moment in UTC, or how long ago. */
static bool
time_of(const char *text, uint64_t *ret)
{
	static const char *const forms[] = { "%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S",
		"%Y-%m-%dT%H:%M:%SZ" };
	uint64_t ago;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct tm tm = { 0 };
		const char *end = strptime(text, forms[i], &tm);
		int day = tm.tm_mday;
		time_t t = end && *end == '\0' ? timegm(&tm) : -1;
		if (t < 0 || tm.tm_mday != day) /* there is no February 31 */
			continue;
		*ret = (uint64_t)t * 1000;
		return true;
	}
	if (!num_seconds(str_of(text), &ago))
		return false;
	uint64_t now = (uint64_t)time(NULL);
	*ret = (now > ago ? now - ago : 0) * 1000;
	return true;
}

static bool
ask_time(struct question *q, const struct ctl_call *call, const char *name, const char *value)
{
	uint64_t ms;
	if (!value)
		return true;
	if (time_of(value, &ms))
		return ask_number(q, name, ms);
	usage_error(call->cmd,
	    "--%s %s is no time; write a day or a moment (UTC) such as 2026-11-22 or "
	    "2026-11-22T17:30, or how long ago: 90s, 15m, 2h, 3d",
	    name, value);
	return false;
}

static bool
ask_limit(struct question *q, const struct ctl_call *call)
{
	uint64_t n;
	if (!call->limit)
		return call->follow || ask_for(q, "limit", LIMIT);
	if (num_u64(str_of(call->limit), UINT32_MAX, &n) && n > 0)
		return ask_number(q, "limit", n);
	usage_error(call->cmd, "--limit %s is no number of letters", call->limit);
	return false;
}

/* --- what may stand there: the tables of histories have whole addresses only --- */

static bool
is_address(struct str s, bool nobody)
{
	size_t at = str_rfind(s, '@');
	if (s.len >= 2 && s.p[0] == '<' && s.p[s.len - 1] == '>') {
		s = str_n(s.p + 1, s.len - 2);
		if (s.len == 0)
			return nobody;
		at = str_rfind(s, '@');
	}
	if (str_ieq(s, STR("postmaster"))) /* needs no domain (RFC 5321 4.5.1) */
		return true;
	return at > 0 && at + 1 < s.len && str_find(s, '*') == s.len;
}

static bool
good_sender(const char *v)
{
	return is_address(str_of(v), true);
}

static bool
good_rcpt(const char *v)
{
	return is_address(str_of(v), false);
}

static bool
good_peer(const char *v)
{
	struct sys_addr a;
	return sys_addr_parse(v, &a);
}

static bool
good_text(const char *v)
{
	return v[0] != '\0';
}

/* False: it was said. */
static bool
good_keys(const struct ctl_call *call)
{
	const struct {
		const char *name, *value;
		bool (*good)(const char *v);
		const char *want;
	} keys[] = {
		{ "KEY", call->words.n ? call->words.v[0] : NULL, good_text,
		    "an id or an address" },
		{ "--from", call->from, good_sender,
		    "an address; write a whole one such as ann@example.net, or '<>'" },
		{ "--to", call->to, good_rcpt,
		    "an address; write a whole one such as ann@example.net" },
		{ "--peer", call->peer, good_peer, "an IP address; write one such as 192.0.2.1" },
		{ "--message-id", call->message_id, good_text, "a Message-ID" },
	};
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (keys[i].value && !keys[i].good(keys[i].value)) {
			usage_error(call->cmd, "%s: \"%s\" is not %s", keys[i].name, keys[i].value,
			    keys[i].want);
			return false;
		}
	return true;
}

/* Both are good by themselves. */
static bool
good_span(const struct ctl_call *call)
{
	uint64_t since, until;
	if (!call->since || !call->until || !time_of(call->since, &since) ||
	    !time_of(call->until, &until) || since < until)
		return true;
	usage_error(call->cmd, "--since %s is not before --until %s", call->since, call->until);
	return false;
}

static int
make_question(struct question *q, const struct ctl_call *call)
{
	bool asks = call->words.n || call->from || call->to || call->peer || call->message_id ||
	            call->since || call->until;
	bool ok = good_keys(call) && ask_for(q, "key", call->words.n ? call->words.v[0] : NULL) &&
	          ask_for(q, "from", call->from) && ask_for(q, "to", call->to) &&
	          ask_for(q, "peer", call->peer) && ask_for(q, "message-id", call->message_id) &&
	          ask_time(q, call, "since", call->since) &&
	          ask_time(q, call, "until", call->until) && ask_limit(q, call) && good_span(call);
	if (!ok)
		return EXIT_USAGE;
	if (!asks && !call->follow)
		return usage_error(call->cmd,
		    "which letters? Write an id or an address, or --from, --to, --peer, "
		    "--message-id, --since or --until");
	return EXIT_DONE;
}

/* --- looking back --- */

static int
show(struct ctl_call *call, struct question *q)
{
	struct trace_shown t = { .array = call->json ? json_array() : NULL };
	uint64_t whole = call->all ? UINT32_MAX : call->json ? WHOLE_JSON : 1;
	if (!ask_number(q, "whole", whole))
		return EXIT_USAGE;
	int status = server_ask(&call->server, "trace", q->arg, q->n, trace_show_row, &t);
	if (t.array && status == EXIT_DONE)
		out_json(t.array);
	else
		json_decref(t.array);
	return status;
}

struct choosing {
	uint64_t attempt, attempts; /* 0: how the letter came */
	struct buf letter;          /* that is told of */
	bool several, shown;
};

/* Prints the row that is meant. */
static void
conv_row(void *arg, const struct msg_row *row)
{
	struct choosing *c = arg;
	struct str letter = row_field(row, TRACE_LETTER), kind = row_field(row, TRACE_KIND);
	if (!c->letter.len)
		buf_puts(&c->letter, letter);
	c->several |= !str_eq(letter, buf_str(&c->letter)) || str_eq(kind, STR("brief"));
	bool attempt = str_eq(kind, STR("attempt"));
	c->attempts += attempt;
	if (!c->several && !c->shown &&
	    (c->attempt ? attempt && c->attempts == c->attempt : str_eq(kind, STR("letter"))))
		c->shown = trace_show_conv(row);
}

static int
show_conv(struct ctl_call *call, struct question *q)
{
	struct choosing c = { .letter = BUF_INIT(64) };
	if (call->attempt &&
	    (!num_u64(str_of(call->attempt), UINT32_MAX, &c.attempt) || c.attempt == 0))
		return usage_error(call->cmd, "--attempt %s is no number; the first one is 1",
		    call->attempt);
	int status = server_ask(&call->server, "trace", q->arg, q->n, conv_row, &c);
	buf_done(&c.letter);
	if (status != EXIT_DONE || c.shown)
		return status;
	if (c.several)
		complain("there are several letters; ask for one letter's id");
	else if (c.attempt > c.attempts)
		complain("there were %" PRIu64 " attempts to bring it to other servers",
		    c.attempts);
	else
		complain("there is no conversation in that part of its history");
	return EXIT_REFUSED;
}

/* --- looking on --- */

struct looking {
	uint64_t lsn;
	bool json, quiet;
};

static void
live_row(void *arg, const struct msg_row *row)
{
	struct looking *l = arg;
	if (str_eq(row_field(row, TRACE_KIND), STR("end")))
		l->lsn = row_number(row, TRACE_LSN);
	else
		trace_show_live(row, l->json);
}

static int
look_on(struct ctl_call *call, struct question *q)
{
	struct looking l = { .json = call->json };
	size_t n = q->n;
	for (;;) {
		uint64_t was = l.lsn;
		q->n = n;
		if (!ask_number(q, "follow", l.lsn))
			return EXIT_USAGE;
		int status = server_ask(&call->server, "trace", q->arg, q->n, live_row, &l);
		if (status != EXIT_DONE)
			return status;
		if (fflush(stdout) != 0 || ferror(stdout))
			return EXIT_IO;
		if (was == l.lsn || was == 0)
			(void)usleep(LOOK_MS * 1000);
	}
}

/* Options that would do nothing together. False: it was said. */
static bool
go_together(const struct ctl_call *call)
{
	const struct {
		bool both;
		const char *words;
	} rows[] = {
		{ call->attempt && !call->format, "--attempt goes with --format conv" },
		{ call->follow && call->format,
		    "--format conv is for one letter, not with --follow" },
		{ call->json && call->format,
		    "--format conv is a conversation, which --json has not; leave one of them "
		    "out" },
		{ call->follow && call->limit,
		    "--limit is for what has been; --follow shows all that comes" },
		{ call->follow && (call->since || call->until),
		    "--since and --until are for what has been; --follow shows what comes" },
		{ call->follow && call->all,
		    "--all is for what has been; --follow shows each event when it comes" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].both) {
			usage_error(call->cmd, "%s", rows[i].words);
			return false;
		}
	return true;
}

static int
trace(struct ctl_call *call)
{
	static struct question q;
	int status = make_question(&q, call);
	if (status != EXIT_DONE)
		return status;
	if (call->format && strcmp(call->format, "conv") != 0)
		return usage_error(call->cmd, "there is no format %s; write --format conv",
		    call->format);
	if (!go_together(call))
		return EXIT_USAGE;
	if (call->follow)
		return look_on(call, &q);
	return call->format ? show_conv(call, &q) : show(call, &q);
}

static int
run(int argc, char **argv)
{
	static const struct ctl_sub sub = { "", 0, 1, SUB_TRACE, trace };
	return ctl_sub_run(cli_cmd_find("trace"), &sub, argc, argv);
}

const struct cli_cmd cmd_trace = {
	.name = "trace",
	.summary = "Show what happened to a letter: conversations, times and decisions",
	.usage = "[KEY] [OPTION...]",
	.help =
	    "KEY is anything that is known of the letter: a queue id as the server said it "
	    "when it\n"
	    "took the letter (and as it stands in the letter's Received field), its id (as "
	    "`mailbox\n"
	    "show`, `queue list` or IMAP's EMAILID has it), a session's id from the log, a\n"
	    "Message-ID, the address of its sender or of a recipient, or of the host it came "
	    "from.\n"
	    "One letter is shown whole: how it came, each attempt to bring it further, "
	    "reports, and\n"
	    "what became of it in mailboxes. Of several there is a line each. Passwords are "
	    "masked.\n\n"
	    "  --from ADDRESS, --to ADDRESS, --peer ADDRESS, --message-id ID\n"
	    "                 letters for which all of this is true, and KEY. Each is a whole\n"
	    "                 address; --from '<>' is the null sender, as of reports; --peer "
	    "is an\n"
	    "                 IP address\n"
	    "  --since TIME, --until TIME\n"
	    "                 a day or a moment in UTC (2026-11-22, 2026-11-22T17:30), or how "
	    "long\n"
	    "                 ago: 90s, 15m, 2h, 3d\n"
	    "  --limit N      at most the newest N letters (100), 1000 at most\n"
	    "  --all          several letters whole\n"
	    "  --follow       show what happens from now on, until it is interrupted; not with\n"
	    "                 --limit, --since, --until, --all or --format\n"
	    "  --json         print JSON; with --follow one object a line\n"
	    "  --format conv  the conversation in which one letter came, as `pennypost run` "
	    "plays it\n"
	    "  --attempt N    ... the one of its Nth attempt to reach another server\n"
	    "  --config FILE  the server that FILE configures\n"
	    "  --dir DIR      the server in DIR\n\n"
	    "Exit status: 0 found, 1 wrong usage, 2 nothing was found, 3 no server could be "
	    "asked.\n",
	.words =
	    "--from= --to= --peer= --message-id= --since= --until= --limit= --all --follow --json "
	    "--format=conv --attempt= --config=FILE --dir=DIR",
	.run = run,
};
