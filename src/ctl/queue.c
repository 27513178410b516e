/* queue: what waits for other servers. */
#include "ctl/queue_priv.h"

#include "base/check.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX ((size_t)16 << 20)

/* --- list: each row is printed as it comes, for there may be a million --- */

#define REST_AT 18    /* columns in front of what stands below an entry's first line */
#define BEFORE_WHO 55 /* and in front of the addresses in it */

struct listing {
	bool json;
	uint64_t n, now;
};

static void
put_head(void)
{
	bool color = out_color(stdout);
	printf("%s%-17s %-7s %5s %5s %5s %8s  %s%s\n", color ? "\033[1m" : "", "Entry", "State",
	    "Age", "Next", "Tries", "Size", "From and to", color ? "\033[0m" : "");
}

static void
put_age(struct buf *b, uint64_t from, uint64_t to)
{
	if (to > from)
		queue_put_short(b, to - from);
	else
		buf_putz(b, "0s");
}

/* "bob@example.net, carol@example.net and 12 more" */
static void
put_rcpts(struct buf *b, struct str lines)
{
	size_t shown = 0, more = 0;
	while (lines.p && lines.len) {
		struct str line = str_cut(&lines, '\n');
		if (shown >= 2) {
			more++;
			continue;
		}
		buf_putz(b, shown++ ? ", " : "");
		utf8_escape(b, line);
	}
	if (more)
		buf_putf(b, " and %zu more", more);
}

/* On a terminal without breaks in the middle of an address; elsewhere all of an entry that may be
 * looked for is in one line. */
static void
put_who(struct str who)
{
	bool breaks = isatty(STDOUT_FILENO) && BEFORE_WHO + who.len > queue_page_width();
	if (!breaks) {
		printf("  " STR_FMT "\n", STR_ARG(who));
		return;
	}
	putchar('\n');
	queue_put_lines(REST_AT, who);
}

static void
put_entry(const struct msg_row *row, uint64_t now)
{
	struct buf age = BUF_INIT(32), next = BUF_INIT(32), size = BUF_INIT(32);
	struct buf who = BUF_INIT(TEXT_MAX), said = BUF_INIT(TEXT_MAX);
	struct str state = row_field(row, Q_STATE);
	put_age(&age, row_number(row, Q_CREATED), now);
	uint64_t at = row_number(row, Q_NEXT);
	if (str_eq(state, STR("waiting")) || str_eq(state, STR("later")) || at > now)
		put_age(&next, now, at);
	else
		buf_putz(&next, str_eq(state, STR("ready")) ? "now" : "-");
	out_size(&size, row_number(row, Q_SIZE));
	queue_put_path(&who, row_field(row, Q_FROM));
	buf_putz(&who, " ");
	put_rcpts(&who, row_field(row, Q_RCPTS));
	printf("%-17.*s %-7.*s %5s %5s %5" PRIu64 " %8s", STR_ARG(row_field(row, Q_ID)),
	    STR_ARG(state), buf_cstr(&age), buf_cstr(&next), row_number(row, Q_ATTEMPTS),
	    buf_cstr(&size));
	put_who(buf_str(&who));
	queue_put_reply(&said, row_field(row, Q_CODE), row_field(row, Q_STATUS),
	    row_field(row, Q_TEXT));
	if (said.len && isatty(STDOUT_FILENO))
		queue_put_lines(REST_AT, buf_str(&said));
	else if (said.len)
		printf("%*s%s\n", REST_AT, "", buf_cstr(&said));
	if (queue_wish_words(row, Q_WISH))
		printf("%*sto be %s when its attempt is over\n", REST_AT, "",
		    queue_wish_words(row, Q_WISH));
	struct buf *all[] = { &age, &next, &size, &who, &said };
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		buf_done(all[i]);
}

static void
list_row(void *arg, const struct msg_row *row)
{
	struct listing *l = arg;
	l->n++;
	if (l->json) {
		queue_json_line(queue_json(row, 0, Q_LISTED));
		return;
	}
	if (l->n == 1)
		put_head();
	put_entry(row, l->now);
}

static int
list(struct ctl_call *call)
{
	struct listing l = { .json = call->json, .now = queue_now_ms() };
	struct queue_args a;
	int status = queue_args_get(&a, call, QUEUE_ANY);
	if (status == EXIT_DONE)
		status = server_ask(&call->server, "queue.list", a.v, a.n, list_row, &l);
	if (status == EXIT_DONE)
		status = queue_ids_known(call);
	if (status == EXIT_DONE && l.n == 0 && !l.json)
		fputs(a.n ? "No entry fits.\n" : "Nothing waits.\n", stderr);
	queue_args_done(&a);
	return status;
}

/* --- what changes entries --- */

struct counts {
	uint64_t entries, letters, rcpts;
};

/* What stays as it is, in the order of the answer's fields (ipc/ops.h). */
enum left_out { BY_ROUTE, ENDING, HELD, LATER, TURN, ALREADY, DAMAGED, LEFT_OUT };

static const struct {
	const char *json, *words;
} left_out[LEFT_OUT] = {
	[BY_ROUTE] = { "by_route",
	    "held by a route (via = hold:), until that is another (`pennypost reload`)" },
	[ENDING] = { "ending",
	    "to be bounced or deleted when its attempt is over, which stays so" },
	[HELD] = { "held", "held, until `pennypost queue release`" },
	[LATER] = { "later",
	    "to leave later, as its sender wants, or at `pennypost queue release`" },
	[TURN] = { "turn", "waiting until its destination fetches it (ATRN)" },
	[ALREADY] = { "already", NULL }, /* by what was wanted */
	[DAMAGED] = { "damaged", "damaged; `pennypost queue why` tells what helps" },
};

/* What became of a change: entries. */
struct changed {
	uint64_t done, trying, left[LEFT_OUT];
};

static void
count_row(void *arg, const struct msg_row *row)
{
	struct counts *c = arg;
	*c = (struct counts){ row_number(row, 0), row_number(row, 1), row_number(row, 2) };
}

/* "3 entries of 2 letters, 7 recipients" */
static void
put_counts(struct buf *b, const struct counts *c)
{
	buf_putf(b, "%" PRIu64 " %s of %" PRIu64 " letter%s, %" PRIu64 " recipient%s", c->entries,
	    c->entries == 1 ? "entry" : "entries", c->letters, c->letters == 1 ? "" : "s", c->rcpts,
	    c->rcpts == 1 ? "" : "s");
}

/* More than one entry ends only after a question; without a terminal nobody can be asked. */
static int
confirm(struct ctl_call *call, const struct queue_args *a, const char *verb, const char *effect)
{
	struct counts c = { 0 };
	struct buf text = BUF_INIT(256);
	char line[16] = "";
	if (call->yes)
		return EXIT_DONE;
	int status = server_ask(&call->server, "queue.count", a->v, a->n, count_row, &c);
	if (status != EXIT_DONE || c.entries <= 1)
		return status;
	put_counts(&text, &c);
	if (isatty(STDIN_FILENO)) {
		fprintf(stderr, "%s %s? %s [y/N] ", verb, buf_cstr(&text), effect);
		if (!fgets(line, sizeof(line), stdin) || (line[0] != 'y' && line[0] != 'Y')) {
			complain("nothing was changed");
			status = EXIT_REFUSED;
		}
	} else {
		complain("%s: that is %s; write --yes to mean all of them", verb, buf_cstr(&text));
		status = EXIT_REFUSED;
	}
	buf_done(&text);
	return status;
}

static const struct change {
	const char *sub, *op, *verb, *done;
	const char *trying; /* of what is on its way */
	const char *effect; /* of what cannot be taken back; NULL: nobody is asked */
	const char *already;
} changes[] = {
	{ "retry", "queue.retry", "Retry", "due now", "already being tried", NULL },
	{ "hold", "queue.hold", "Hold", "held", "being tried: held when that is over", NULL,
	    "held already" },
	{ "release", "queue.release", "Release", "released", "being tried", NULL, "not held" },
	{ "bounce", "queue.bounce", "Bounce", "bounced", "being tried: bounced when that is over",
	    "Their senders get reports." },
	{ "delete", "queue.delete", "Delete", "deleted", "being tried: deleted when that is over",
	    "Nobody is told." },
};

static void
changed_row(void *arg, const struct msg_row *row)
{
	struct changed *c = arg;
	*c = (struct changed){ .done = row_number(row, 0), .trying = row_number(row, 1) };
	for (size_t i = 0; i < LEFT_OUT; i++)
		c->left[i] = row_number(row, 2 + i);
}

static const char *
entries(uint64_t n)
{
	return n == 1 ? "entry" : "entries";
}

static void
say_entries(uint64_t n, const char *what)
{
	printf("%" PRIu64 " %s %s.\n", n, entries(n), what);
}

static const char *
left_words(const struct change *ch, size_t i)
{
	return left_out[i].words ? left_out[i].words : ch->already ? ch->already : "as is wanted";
}

static void
say_changed(const struct ctl_call *call, const struct change *ch, const struct changed *c)
{
	if (call->json) {
		json_t *o = json_pack("{s:I, s:I}", "entries", (json_int_t)c->done, "trying",
		    (json_int_t)c->trying);
		for (size_t i = 0; i < LEFT_OUT; i++)
			json_object_set_new(o, left_out[i].json,
			    json_integer((json_int_t)c->left[i]));
		queue_json_line(o);
		return;
	}
	if (c->done)
		say_entries(c->done, ch->done);
	if (c->trying)
		say_entries(c->trying, ch->trying);
	for (size_t i = 0; i < LEFT_OUT; i++)
		if (c->left[i])
			say_entries(c->left[i], left_words(ch, i));
	if (c->trying && ch->effect)
		puts("If the letter is gone by then, that counts.");
}

/* Its exit status. */
static int
say_nothing_changed(const struct ctl_call *call, const struct change *ch, const struct changed *c)
{
	bool said = false;
	for (size_t i = 0; i < LEFT_OUT; i++) {
		if (c->left[i])
			complain("nothing to %s: %" PRIu64 " %s %s", ch->sub, c->left[i],
			    entries(c->left[i]), left_words(ch, i));
		said = said || c->left[i];
	}
	if (!said && call->all)
		complain("nothing waits");
	else if (!said)
		complain("no entry fits; `pennypost queue list` shows what there is");
	return EXIT_REFUSED;
}

static int
change(struct ctl_call *call, const struct change *ch)
{
	struct changed c = { 0 };
	struct queue_args a;
	int status = queue_args_get(&a, call, QUEUE_CHOSEN);
	/* Who misspells one of several has perhaps not meant the others either. */
	if (status == EXIT_DONE)
		status = queue_ids_known(call);
	if (status == EXIT_REFUSED && call->words.n > 1)
		complain("nothing was changed");
	if (status == EXIT_DONE && ch->effect)
		status = confirm(call, &a, ch->verb, ch->effect);
	if (status == EXIT_DONE)
		status = server_ask(&call->server, ch->op, a.v, a.n, changed_row, &c);
	if (status == EXIT_DONE && c.done + c.trying == 0)
		status = say_nothing_changed(call, ch, &c);
	else if (status == EXIT_DONE)
		say_changed(call, ch, &c);
	queue_args_done(&a);
	return status;
}

static int
retry(struct ctl_call *call)
{
	return change(call, &changes[0]);
}

static int
hold(struct ctl_call *call)
{
	return change(call, &changes[1]);
}

static int
release(struct ctl_call *call)
{
	return change(call, &changes[2]);
}

static int
bounce(struct ctl_call *call)
{
	return change(call, &changes[3]);
}

static int delete (struct ctl_call *call)
{
	return change(call, &changes[4]);
}

static int
flush(struct ctl_call *call)
{
	struct changed c = { 0 };
	struct str arg = str_of(call->words.n ? call->words.v[0] : "");
	int status =
	    server_ask(&call->server, "queue.flush", &arg, call->words.n ? 1 : 0, changed_row, &c);
	if (status == EXIT_DONE && c.done + c.trying == 0 && !call->json)
		fputs(call->words.n ? "Nothing waits for it.\n" : "Nothing waits.\n", stderr);
	else if (status == EXIT_DONE)
		say_changed(call, &changes[0], &c);
	return status;
}

/* The conversation too, when it went wrong. */
static void
fetch_row(void *arg, const struct msg_row *row)
{
	const struct ctl_call *call = arg;
	struct str route = row_field(row, 0), outcome = row_field(row, 1),
		   history = row_field(row, 2);
	struct buf b = BUF_INIT(TEXT_MAX);
	if (call->json) {
		queue_json_line(json_pack("{s:s%, s:s%}", "route", route.p, route.len, "outcome",
		    outcome.p, outcome.len));
		return;
	}
	while (str_eq(outcome, STR("failed")) && history.p && history.len) {
		buf_puts(&b, str_cut(&history, '\n')); /* relay has escaped it */
		buf_putc(&b, '\n');
	}
	fputs(buf_cstr(&b), stderr);
	printf(STR_FMT ": " STR_FMT "\n", STR_ARG(route), STR_ARG(outcome));
	buf_done(&b);
}

static int
fetch(struct ctl_call *call)
{
	struct str route = str_of(call->words.n ? call->words.v[0] : "");
	return server_ask(&call->server, "relay.fetch", &route, call->words.n ? 1 : 0, fetch_row,
	    call);
}

#define CHOICE (SUB_QUEUE | SUB_ALL)

static const struct ctl_sub subs[] = {
	{ "list", 0, 40, SUB_QUEUE, list },
	{ "show", 1, 1, 0, queue_show },
	{ "why", 1, 1, 0, queue_why },
	{ "retry", 0, 40, CHOICE | SUB_SENDS, retry },
	{ "hold", 0, 40, CHOICE | SUB_REASON, hold },
	{ "release", 0, 40, CHOICE | SUB_SENDS, release },
	{ "bounce", 0, 40, CHOICE | SUB_YES | SUB_REASON, bounce },
	{ "delete", 0, 40, CHOICE | SUB_YES, delete },
	{ "flush", 0, 1, SUB_SENDS, flush },
	{ "fetch", 0, 1, SUB_NO_START, fetch },
	{ "top", 0, 0, SUB_TOP | SUB_NO_START, queue_top },
};

static int
run(int argc, char **argv)
{
	return ctl_subs_run(cli_cmd_find("queue"), subs, ARRAY_LEN(subs), argc, argv);
}

const struct cli_cmd cmd_queue = {
	.name = "queue",
	.summary = "Show, hurry, hold and end letters that wait for other servers",
	.usage = "list [ID...] [FILTERS] [--limit N] [--json]\n"
		 "show ID [--json]\n"
		 "why ID [--json]\n"
		 "retry ID... | FILTERS | --all [--json]\n"
		 "hold ID... | FILTERS | --all [--reason TEXT] [--json]\n"
		 "release ID... | FILTERS | --all [--json]\n"
		 "bounce ID... | FILTERS | --all [--reason TEXT] [--yes] [--json]\n"
		 "delete ID... | FILTERS | --all [--yes] [--json]\n"
		 "flush [DOMAIN] [--json]\n"
		 "fetch [ROUTE] [--json]\n"
		 "top [--interval SECONDS] [--count N] [--json]",
	.help =
	    "An entry is a letter and those of its recipients that are at one domain. ID is an\n"
	    "entry's id, or a queue id or a letter's id, which stand for all of its entries.\n"
	    "When one of several is not in the queue nothing is changed, and it is named.\n\n"
	    "  why               in one screen: what was tried, what the other side said and\n"
	    "                    means, what happens next and when\n"
	    "  retry             try now, whatever was waited for; what its sender wants to leave\n"
	    "                    later (FUTURERELEASE) is for release\n"
	    "  hold, release     keep from being tried, and let go again. What a route holds\n"
	    "                    (via = hold:) waits for another route; what is to be bounced or\n"
	    "                    deleted when its attempt is over ends nevertheless\n"
	    "  bounce            give up: the sender gets a report\n"
	    "  delete            give up, and tell nobody. What is being tried is held, bounced\n"
	    "                    or deleted when that is over, unless the letter is gone then\n"
	    "  flush             everything (for DOMAIN) is due now\n"
	    "  fetch             get mail that waits for us elsewhere (ATRN), from the host of "
	    "the\n"
	    "                    route that has fetch_by_atrn\n"
	    "  top               destinations and what happens, again and again; q ends it.\n"
	    "                    Without a terminal: once, or --count times\n\n"
	    "Filters; an entry must fit all that are given:\n\n"
	    "  --from ADDRESS    its sender; @DOMAIN, or a part with * in it, fits too; '<>' is\n"
	    "                    nobody, as of reports\n"
	    "  --to ADDRESS      one of its recipients, written likewise\n"
	    "  --domain DOMAIN   where it goes; *.example.net fits what is inside\n"
	    "  --older TIME      it has waited longer: 30m, 2h, 3d\n"
	    "  --newer TIME      it has not waited so long\n"
	    "  --error WHAT      a code (550, 4xx), a status (5.7.1), a word of the last reply, "
	    "or\n"
	    "                    what went wrong, whatever the words: name, connect, tls, login,\n"
	    "                    greeting, sender, rcpt, letter, closed, policy, damaged\n"
	    "  --state STATE     ready, waiting, active, held, later (FUTURERELEASE), turn "
	    "(ATRN),\n"
	    "                    damaged (its record cannot be read)\n\n"
	    "  --all             every entry\n"
	    "  --limit N         of list: at most so many; what changes entries does not take it\n"
	    "  --reason TEXT     what to say of it: in the report, in `trace`\n"
	    "  --yes             do not ask before more than one entry ends\n"
	    "  --interval SECONDS  of top (2)\n"
	    "  --count N         of top: so many times\n"
	    "  --json            print JSON, an object on each line\n"
	    "  --config FILE     the server that FILE configures\n"
	    "  --dir DIR         the server in DIR\n\n"
	    "Examples: pennypost queue list --domain example.net --older 1h\n"
	    "          pennypost queue why 9B6FB1BF\n"
	    "          pennypost queue bounce --to '@example.net' --error 'no such user'\n",
	.words =
	    "list show why retry hold release bounce delete flush fetch top --from= --to= "
	    "--domain= "
	    "--older= --newer= "
	    "--error=name|connect|tls|login|greeting|sender|rcpt|letter|closed|policy|damaged "
	    "--state=ready|waiting|active|held|later|turn|damaged --all --limit= --reason= --yes "
	    "--interval= --count= --json --config=FILE --dir=DIR",
	.run = run,
};
