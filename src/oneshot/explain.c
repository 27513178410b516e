/* explain: what a reply, an error or a bounce means, who must act, what to try next. */
#include "explain/explain.h"

#include "base/check.h"
#include "base/utf8.h"
#include "cli/cli.h"
#include "client/exit.h"
#include "explain/bounce.h"
#include "sys/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define EXIT_UNKNOWN 2
#define TEXT_MAX (4u << 20)
#define WIDTH_DEFAULT 80
#define ALSO_MAX 4

extern const struct cli_cmd cmd_explain;

struct explaining {
	bool json, brief, all, list, color, terminal;
	enum explain_proto proto;
	size_t width;
	json_t *array;
	bool unknown, any;
};

/* --- words on the page --- */

static size_t
terminal_width(void)
{
	struct winsize w;
	const char *columns = getenv("COLUMNS");
	size_t n = columns ? strtoul(columns, NULL, 10) : 0;
	if (n == 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0)
		n = w.ws_col;
	return n == 0 ? WIDTH_DEFAULT : MIN(MAX(n, 40), 120);
}

static const char *
color_of(const struct explaining *e, enum explain_kind kind)
{
	static const char *const colors[EXPLAIN_KIND_COUNT] = { "\033[1m", "\033[1;32m",
		"\033[1;36m", "\033[1;33m", "\033[1;31m" };
	return e->color ? colors[kind] : "";
}

static const char *
grey(const struct explaining *e)
{
	return e->color ? "\033[90m" : "";
}

static const char *
plain(const struct explaining *e)
{
	return e->color ? "\033[0m" : "";
}

/* Words of text in lines of the width; the first begins at column `at`, the others at indent. */
static void
put_wrapped(const struct explaining *e, size_t at, size_t indent, struct str text)
{
	bool first = true;
	for (struct str word; (word = str_word(&text)).len; first = false) {
		if (!first && at + 1 + word.len > e->width) {
			printf("\n%*s", (int)indent, "");
			at = indent;
		} else if (!first) {
			putchar(' ');
			at++;
		}
		fwrite(word.p, 1, word.len, stdout);
		at += word.len;
	}
	putchar('\n');
}

static void
put_field(const struct explaining *e, const char *label, struct str text)
{
	if (!text.len)
		return;
	printf("  %s%-9s%s", grey(e), label, plain(e));
	put_wrapped(e, 11, 11, text);
}

static void
put_head(const struct explaining *e, const struct explain_hit *hit)
{
	struct buf line = BUF_INIT(1u << 16), safe = BUF_INIT(1u << 18);
	explain_short(hit, &line);
	utf8_escape(&safe, buf_str(&line));
	printf("%s", color_of(e, hit->kind));
	if (e->terminal)
		put_wrapped(e, 0, 2, buf_str(&safe));
	else
		printf(STR_FMT "\n", STR_ARG(buf_str(&safe)));
	printf("%s", plain(e));
	buf_done(&line);
	buf_done(&safe);
}

static void
put_hit(const struct explaining *e, const struct explain_hit *hit)
{
	put_head(e, hit);
	if (e->brief)
		return;
	put_field(e, "who acts", hit->who);
	if (str_find_str(hit->meaning, STR(". ")) < hit->meaning.len)
		put_field(e, "meaning", hit->meaning);
	put_field(e, "causes", hit->causes);
	put_field(e, "next", hit->next);
	put_field(e, "source", hit->source);
}

static void
put_also(const struct explaining *e, const struct explain_hit *hits, size_t n)
{
	size_t shown = 0;
	for (size_t i = 1; i < n && shown < ALSO_MAX; i++) {
		if (str_eq(hits[i].meaning, hits[i - 1].meaning))
			continue;
		struct buf b = BUF_INIT(1u << 16);
		buf_putf(&b, STR_FMT " [" STR_FMT "]", STR_ARG(hits[i].meaning),
		    STR_ARG(hits[i].source));
		put_field(e, shown++ == 0 ? "also" : "", buf_str(&b));
		buf_done(&b);
	}
}

static void
put_question(const struct explaining *e, struct str text)
{
	text = str_first(text, 2000);
	printf("%s", grey(e));
	while (text.len) {
		struct buf safe = BUF_INIT(1u << 16);
		utf8_escape(&safe, str_rtrim(str_cut(&text, '\n')));
		put_wrapped(e, 0, 2, buf_str(&safe));
		buf_done(&safe);
	}
	printf("%s", plain(e));
}

/* --- JSON --- */

static json_t *
json_of(const struct explain_hit *hit)
{
	struct buf line = BUF_INIT(1u << 16);
	explain_short(hit, &line);
	json_t *j = json_pack("{s:s, s:s, s:o, s:o, s:b, s:s, s:o, s:o, s:o, s:o, s:o, s:o}",
	    "protocol", explain_proto_name[hit->proto], "kind", explain_kind_name[hit->kind],
	    "code", out_json_text(hit->code), "enhanced", out_json_text(hit->enhanced), "exact",
	    hit->exact, "actor", explain_who_name[hit->actor], "who", out_json_text(hit->who),
	    "meaning", out_json_text(hit->meaning), "causes", out_json_text(hit->causes), "next",
	    out_json_text(hit->next), "source", out_json_text(hit->source), "short",
	    out_json_text(buf_str(&line)));
	buf_done(&line);
	return j;
}

static json_t *
json_hits(const struct explain_hit *hits, size_t n)
{
	json_t *a = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(a, json_of(&hits[i]));
	return a;
}

/* --- one question --- */

static void
say_unknown(struct explaining *e, struct str text)
{
	struct buf safe = BUF_INIT(1u << 16);
	utf8_escape(&safe, str_first(text, 200));
	complain("nothing is known of \"" STR_FMT "\", and it has no class; "
		 "--list WORD searches what there is",
	    STR_ARG(buf_str(&safe)));
	buf_done(&safe);
}

static void
answer(struct explaining *e, struct str text, const struct explain_hit *hits, size_t n)
{
	e->unknown = e->unknown || n == 0;
	if (n == 0) {
		say_unknown(e, text);
		return;
	}
	if (e->all && !e->brief) {
		for (size_t i = 0; i < n; i++)
			put_hit(e, &hits[i]);
		return;
	}
	put_hit(e, &hits[0]);
	if (e->brief)
		return;
	if (hits[0].match >= EXPLAIN_BY_SUBJECT && text.len > 1 && str_find(text, 'x') > 3)
		put_field(e, "note",
		    STR("This code and these words are not known; that is what "
			"its class says."));
	put_also(e, hits, n);
}

static void
explain_one(struct explaining *e, struct str text, bool echo)
{
	struct explain_hit hits[EXPLAIN_HITS_MAX];
	size_t n = explain_line_of(e->proto, text, hits, ARRAY_LEN(hits));
	if (e->json) {
		e->unknown = e->unknown || n == 0;
		json_array_append_new(e->array,
		    json_pack("{s:o, s:o}", "question", out_json_text(str_trim(text)), "hits",
			json_hits(hits, n)));
		return;
	}
	if (e->any)
		putchar('\n');
	e->any = true;
	if (echo)
		put_question(e, text);
	answer(e, text, hits, n);
}

/* --- a bounce --- */

static void
put_failure(struct explaining *e, const struct bounce_failure *f)
{
	struct buf head = BUF_INIT(1u << 16);
	if (f->recipient.len)
		buf_putf(&head, STR_FMT, STR_ARG(f->recipient));
	if (f->action.len)
		buf_putf(&head, "%s" STR_FMT, head.len ? ", " : "", STR_ARG(f->action));
	if (f->server.len)
		buf_putf(&head, "%sat " STR_FMT, head.len ? ", " : "", STR_ARG(f->server));
	if (f->command.len)
		buf_putf(&head, "%sat step " STR_FMT, head.len ? ", " : "", STR_ARG(f->command));
	if (e->any)
		putchar('\n');
	e->any = true;
	if (head.len)
		put_question(e, buf_str(&head));
	buf_done(&head);
	put_question(e, f->reply);
}

static json_t *
json_failure(const struct bounce_failure *f, json_t *hits)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "recipient",
	    out_json_text(f->recipient), "server", out_json_text(f->server), "command",
	    out_json_text(f->command), "action", out_json_text(f->action), "status",
	    out_json_text(f->status), "reply", out_json_text(f->reply), "hits", hits);
}

static size_t
failure_hits(const struct bounce_failure *f, struct explain_hit *hits, size_t max)
{
	size_t n = explain_line(f->reply, hits, max);
	return n == 0 && f->status.len ? explain_line(f->status, hits, max) : n;
}

/* False: there is no failure in it. */
static bool
explain_bounce(struct explaining *e, struct str text)
{
	struct bounce b;
	struct bounce_failure f;
	struct explain_hit hits[EXPLAIN_HITS_MAX];
	bool found = false;
	bounce_begin(&b, text);
	while (bounce_next(&b, &f)) {
		size_t n = failure_hits(&f, hits, ARRAY_LEN(hits));
		found = true;
		if (e->json) {
			e->unknown = e->unknown || n == 0;
			json_array_append_new(e->array, json_failure(&f, json_hits(hits, n)));
		} else {
			put_failure(e, &f);
			answer(e, f.reply, hits, n);
		}
	}
	return found;
}

static void
explain_text(struct explaining *e, struct str text, bool echo)
{
	if (!bounce_looks_so(text) || !explain_bounce(e, text))
		explain_one(e, text, echo);
}

/* --- arguments --- */

static bool
is_code(const char *word)
{
	size_t n = strspn(word, "0123456789");
	return n == 3 && word[n] == '\0';
}

static bool
is_enhanced(const char *word)
{
	word += *word == '#';
	return strchr("245", *word) && word[0] && word[1] == '.' &&
	       word[strspn(word, "0123456789.x")] == '\0';
}

static bool
known(const struct explaining *e, const char *word)
{
	struct explain_hit hit;
	return explain_reply_of(e->proto, str_of(word), &hit);
}

/* Unquoted words of one line: `explain 550 5.1.1 user unknown`. */
static bool
is_one_line(const struct explaining *e, const struct cli_words *w)
{
	bool strange = false;
	for (size_t i = 0; i < w->n; i++) {
		if (strpbrk(w->v[i], " \t\n"))
			return false;
		strange = strange || !known(e, w->v[i]);
	}
	return strange && w->n > 1;
}

static void
explain_words(struct explaining *e, const struct cli_words *w)
{
	bool joined = is_one_line(e, w);
	struct buf line = BUF_INIT(1u << 20);
	for (size_t i = 0; i < w->n; i++) {
		buf_putf(&line, "%s%s", line.len ? " " : "", w->v[i]);
		bool pair = i + 1 < w->n && is_code(w->v[i]) && is_enhanced(w->v[i + 1]);
		if ((joined || pair) && i + 1 < w->n)
			continue;
		explain_text(e, buf_str(&line), e->any || i + 1 < w->n);
		buf_reset(&line);
	}
	buf_done(&line);
}

static int
explain_input(struct explaining *e)
{
	struct buf text = BUF_INIT(TEXT_MAX);
	int rc = file_read_all("/dev/stdin", TEXT_MAX, &text);
	if (rc < 0)
		complain("cannot read standard input: %s", strerror(-rc));
	else
		explain_text(e, buf_str(&text), false);
	buf_done(&text);
	return rc < 0 ? CLIENT_IO : EXIT_DONE;
}

/* --- the list --- */

static bool
contains(struct str s, struct str what)
{
	for (size_t at = 0; at + what.len <= s.len; at++)
		if (str_istarts(str_skip(s, at), what))
			return true;
	return false;
}

static bool
wanted(const struct explaining *e, const struct explain_record_view *v, const struct cli_words *w)
{
	const struct str fields[] = { v->hit.code, v->hit.enhanced, v->pattern, v->hit.meaning,
		v->hit.source, v->file, str_of(explain_proto_name[v->hit.proto]) };
	if (e->proto != EXPLAIN_ANY && e->proto != v->hit.proto)
		return false;
	for (size_t i = 0; i < w->n; i++) {
		bool found = false;
		for (size_t f = 0; f < ARRAY_LEN(fields); f++)
			found = found || contains(fields[f], str_of(w->v[i]));
		if (!found)
			return false;
	}
	return true;
}

static void
list_one(struct explaining *e, const struct explain_record_view *v)
{
	if (e->json) {
		json_t *j = json_of(&v->hit);
		json_object_set_new(j, "pattern", out_json_text(v->pattern));
		json_object_set_new(j, "file", out_json_text(v->file));
		json_array_append_new(e->array, j);
		return;
	}
	struct buf key = BUF_INIT(1u << 12), line = BUF_INIT(1u << 16);
	buf_putf(&key, STR_FMT "%s" STR_FMT, STR_ARG(v->hit.code),
	    v->hit.code.len && v->hit.enhanced.len ? " " : "", STR_ARG(v->hit.enhanced));
	if (v->pattern.len)
		buf_putf(&line, "\"" STR_FMT "\" ", STR_ARG(v->pattern));
	buf_putf(&line, STR_FMT " [" STR_FMT "]", STR_ARG(v->hit.meaning), STR_ARG(v->hit.source));
	printf("%-12s ", buf_cstr(&key));
	put_wrapped(e, MAX(key.len, 12) + 1, 13, buf_str(&line));
	buf_done(&key);
	buf_done(&line);
}

static int
list(struct explaining *e, const struct cli_words *w)
{
	struct explain_record_view v;
	size_t n = 0;
	for (unsigned i = 0; explain_record(i, &v); i++)
		if (wanted(e, &v, w)) {
			list_one(e, &v);
			n++;
		}
	if (n == 0 && !e->json)
		complain("no record holds all of these words");
	e->unknown = n == 0;
	return EXIT_DONE;
}

/* --- */

static bool
proto_of(const struct cli_cmd *cmd, const char *name, enum explain_proto *ret)
{
	for (int p = 0; p < EXPLAIN_PROTO_COUNT; p++)
		if (name && strcmp(name, explain_proto_name[p]) == 0) {
			*ret = (enum explain_proto)p;
			return true;
		}
	if (name)
		usage_error(cmd,
		    "--proto is one of any, smtp, imap, pop3, sieve, tls, dns, system");
	return name == NULL;
}

static int
do_it(struct explaining *e, const struct cli_words *w)
{
	bool input = w->n == 0 || (w->n == 1 && strcmp(w->v[0], "-") == 0);
	int status = EXIT_DONE;
	if (e->list)
		status = list(e, w);
	else if (input && w->n == 0 && isatty(STDIN_FILENO))
		return usage_error(&cmd_explain, "give a code or a line, or pipe a bounce into it");
	else if (input)
		status = explain_input(e);
	else
		explain_words(e, w);
	return status != EXIT_DONE ? status : e->unknown ? EXIT_UNKNOWN : EXIT_DONE;
}

/* "-ERR [IN-USE]" and "-2" are questions, not options: with a blank in front they pass. */
static char **
shielded(int argc, char **argv)
{
	char **copy = xalloc(((size_t)argc + 1) * sizeof *copy);
	for (int i = 0; i < argc; i++) {
		bool question = strncmp(argv[i], "-ERR", 4) == 0 ||
		                (argv[i][0] == '-' && argv[i][1] >= '0' && argv[i][1] <= '9');
		struct buf b = BUF_INIT(SIZE_MAX / 2);
		buf_putf(&b, "%s%s", i > 0 && question ? " " : "", argv[i]);
		copy[i] = str_dup(buf_str(&b));
		buf_done(&b);
	}
	return copy;
}

static void
unshield(int argc, char **copy)
{
	for (int i = 0; i < argc; i++)
		free(copy[i]);
	free(copy);
}

static int
explain_main(struct explaining *e, int argc, char **argv)
{
	const char *proto = NULL;
	struct cli_words words;
	const struct cli_opt opts[] = { { "--json", OPT_FLAG, &e->json },
		{ "--short", OPT_FLAG, &e->brief }, { "--all", OPT_FLAG, &e->all },
		{ "--list", OPT_FLAG, &e->list }, { "--proto", OPT_VALUE, &proto }, { 0 } };
	if (!cli_parse(&cmd_explain, argc, argv, opts, &words))
		return EXIT_USAGE;
	int status = EXIT_USAGE;
	if (proto_of(&cmd_explain, proto, &e->proto)) {
		e->array = e->json ? json_array() : NULL;
		status = do_it(e, &words);
		if (e->json && status != EXIT_USAGE && status != CLIENT_IO)
			out_json(e->array);
		else
			json_decref(e->array);
	}
	free(words.v);
	return status;
}

static int
run(int argc, char **argv)
{
	struct explaining e = { .terminal = isatty(STDOUT_FILENO),
		.color = out_color(stdout),
		.width = terminal_width() };
	char **copy = shielded(argc, argv);
	int status = explain_main(&e, argc, copy);
	unshield(argc, copy);
	return status;
}

const struct cli_cmd cmd_explain = {
	.name = "explain",
	.summary = "Say what a reply, an error or a bounce means and what to do",
	.usage = "[--short | --all] [--json] [--proto NAME] [CODE | LINE]...\n"
		 "--list [--json] [--proto NAME] [WORD]...",
	.help =
	    "What a mail server said, in plain words: what it means, who must act, what brings\n"
	    "it about, what to test next. Works without a network. It knows the reply codes of\n"
	    "the RFCs, all enhanced status codes, response codes of IMAP, POP3 and ManageSieve,\n"
	    "the wordings of the usual servers, providers, filters and blocklists, and errors of\n"
	    "TLS, DNS and the system.\n\n"
	    "Give a code, a line, or the reply as it is. Without arguments, standard input is\n"
	    "read: a line, a whole bounce, or a transcript; each failure in it is explained with\n"
	    "its recipient and server. The answer comes from the most special record that fits;\n"
	    "more general ones follow behind \"also\".\n\n"
	    "  --short        one line only\n"
	    "  --all          every record that fits, in full\n"
	    "  --list         the records that hold all of the words (or all records)\n"
	    "  --proto NAME   who speaks: smtp, imap, pop3, sieve, tls, dns, system\n"
	    "  --json         print JSON\n\n"
	    "Exit status: 0 explained, 1 called wrongly, 2 nothing is known of one of them,\n"
	    "18 standard input cannot be read.\n\n"
	    "Examples:\n"
	    "  pennypost explain 550\n"
	    "  pennypost explain 452 4.3.1\n"
	    "  pennypost explain '452 #4.3.1 server resources low - try again later'\n"
	    "  pennypost explain 'a1 NO [OVERQUOTA] Mailbox is full'\n"
	    "  pennypost explain '-ERR [IN-USE] Do you have another session?'\n"
	    "  pennypost explain X509_V_ERR_HOSTNAME_MISMATCH\n"
	    "  pennypost explain 'getaddrinfo: Temporary failure in name resolution'\n"
	    "  pennypost explain < bounce.eml\n"
	    "  grep status=bounced /var/log/mail.log | pennypost explain --short\n"
	    "  pennypost explain --list spamhaus\n",
	.words = "--short --all --list --proto= --json",
	.run = run,
	.client = true,
};
