/* merge: one letter in parts, many recipients (ledger 2.3, the sending side). */
#include "oneshot/merge_priv.h"

#include "sys/clock.h"
#include "sys/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRESS_US 1000000

/* --- telling --- */

void
merge_refused(struct merging *m, uint64_t no, struct str to, const struct answer *a, struct str why)
{
	struct buf b = BUF_INIT(SAY_CELL_MAX), shown = BUF_INIT(4 * SAY_CELL_MAX);
	struct str text = a ? buf_str(&a->text) : why;
	m->refused++;
	if (a && a->code)
		buf_putf(&b, "%d ", a->code);
	buf_puts(&b, str_cut(&text, '\n'));
	if (m->o->json) {
		json_t *root = json_pack("{sssIsoso}", "ev", "refused", "row", (json_int_t)no,
		    "address", out_json_text(to), "text", out_json_text(buf_str(&b)));
		if (a && a->code)
			json_object_set_new(root, "code", json_integer(a->code));
		say_json(root);
	} else {
		show_escape(&shown, to);
		buf_putz(&shown, "  ");
		show_escape(&shown, buf_str(&b));
		printf("%srow %" PRIu64 "%s  " STR_FMT "\n", say_color(m->o, SAY_BAD), no,
		    say_plain(m->o), STR_ARG(buf_str(&shown)));
	}
	buf_done(&b);
	buf_done(&shown);
}

void
merge_progress(struct merging *m)
{
	int64_t now = sys_mono_us();
	if (m->o->show.quiet || m->o->json || !isatty(STDERR_FILENO) ||
	    now - m->told_us < PROGRESS_US)
		return;
	m->told_us = now;
	if (m->total)
		fprintf(stderr, "%" PRIu64 " of %" PRIu64 " rows ...\n", m->done, m->total);
	else
		fprintf(stderr, "%" PRIu64 " rows ...\n", m->done);
}

int
merge_next(struct merging *m, struct merge_row *row)
{
	for (;;) {
		if (m->o->link.stop && *m->o->link.stop) {
			buf_putz(&m->err, "interrupted");
			return -1;
		}
		int n = merge_rows_next(&m->rows, row, &m->err);
		if (n <= 0)
			return n;
		if (row->why.len == 0 &&
		    letters_make(m->letters, row->to, buf_str(&row->xdfn), &row->why))
			return 1;
		merge_refused(m, row->no, row->to, NULL, buf_str(&row->why));
		m->done++;
	}
}

/* --- the parts --- */

static void
put_crlf(struct buf *out, struct str in)
{
	while (in.len) {
		size_t lf = str_find(in, '\n');
		struct str line = str_first(in, lf);
		in = str_skip(in, lf + 1);
		buf_puts(out, str_ends(line, STR("\r")) ? str_first(line, line.len - 1) : line);
		buf_putz(out, "\r\n");
	}
}

static int
read_parts(struct merging *m, const struct cli_words *w, size_t n)
{
	m->parts = xalloc((n + 1) * sizeof(*m->parts));
	for (size_t i = 0; i < n; i++) {
		struct buf in = BUF_INIT(LETTERS_BODY_MAX), out = BUF_INIT(LETTERS_BODY_MAX);
		int error = file_read_all(w->v[i], LETTERS_BODY_MAX, &in);
		put_crlf(&out, buf_str(&in));
		buf_done(&in);
		m->parts[i] = buf_str(&out); /* ours now */
		m->n_parts = i + 1;
		struct str text = m->parts[i];
		if (error || out.failed) {
			buf_putf(&m->err, "%s cannot be read: %s", w->v[i],
			    strerror(error ? -error : EFBIG));
			return CLIENT_IO;
		}
		if (str_find(text, '\0') < text.len) {
			buf_putf(&m->err, "%s holds a NUL; a part is text", w->v[i]);
			return CLIENT_IO;
		}
	}
	return CLIENT_OK;
}

static int
make_letters(struct merging *m)
{
	struct str *names = xalloc((m->rows.n + 1) * sizeof(*names));
	size_t n = 0;
	for (size_t i = 0; i < m->rows.n; i++)
		if (m->rows.name[i][0] && m->rows.name[i][0] != '*')
			names[n++] = str_of(m->rows.name[i]);
	int64_t sec = sys_wall_ms() / 1000;
	m->letters = letters_new(m->parts, m->n_parts, names, n, m->brackets, sec,
	    sys_zone_minutes(sec), &m->err);
	free(names);
	if (!m->letters)
		return CLIENT_USAGE;
	letters_from(m->letters, str_of(m->from));
	return CLIENT_OK;
}

/* --- one letter after the other --- */

static int
connect_to(struct merging *m)
{
	if (m->opened)
		smtp_run_close(&m->run);
	memset(&m->run, 0, sizeof(m->run));
	m->opened = true;
	int status = smtp_run_open(&m->run, m->o);
	if (status == CLIENT_OK)
		status = smtp_run_go(&m->run, SMTP_STEP_AUTH);
	if (status != CLIENT_OK)
		buf_puts(&m->err, buf_str(&m->run.why));
	return status;
}

static void
put_letter(struct merging *m, struct buf *out)
{
	buf_reset(out);
	for (size_t i = 0; i < letters_pieces(m->letters); i++)
		buf_puts(out, letters_piece(m->letters, i));
}

/* CLIENT_OK also when it was refused, which is told. */
static int
send_single(struct merging *m, const struct merge_row *row, struct str letter)
{
	struct smtp_client_rcpt rcpt = { .code = 0 };
	struct smtp_client_envelope e = { .n_rcpts = 0 };
	struct addr a;
	if (!smtp_run_envelope(m->o, &e, &rcpt, &m->err))
		return CLIENT_USAGE;
	rcpt.addr = row->to;
	e.rcpts = &rcpt;
	e.n_rcpts = 1;
	e.from = str_of(m->from);
	e.size = letter.len;
	if (letters_is_8bit(m->letters) && e.body == SMTP_BODY_UNSAID &&
	    caps_have(smtp_client_caps(m->run.c), CAPS_8BITMIME))
		e.body = SMTP_BODY_8BIT;
	e.utf8 |= addr_mailbox(row->to, ADDR_SMTPUTF8, &a) == ADDR_OK && a.utf8;
	int status = smtp_run_letter(&m->run, &e, letter, SMTP_STEP_DOT);
	if (status == CLIENT_OK) {
		m->sent++;
		return CLIENT_OK;
	}
	if (smtp_client_is_over(m->run.c) || m->run.stuck)
		return status;
	const struct answer *no = smtp_client_answer(m->run.c);
	bool said = no->code >= 400;
	merge_refused(m, row->no, row->to, said ? no : NULL, buf_str(&m->run.why));
	return CLIENT_OK;
}

static int
merge_single(struct merging *m)
{
	struct merge_row row;
	struct buf letter = BUF_INIT(LETTERS_BODY_MAX + (1u << 20));
	int status = CLIENT_OK, n;
	merge_row_init(&row);
	while (status == CLIENT_OK && (n = merge_next(m, &row)) != 0) {
		if (n < 0) {
			status = CLIENT_IO;
			break;
		}
		put_letter(m, &letter);
		status = send_single(m, &row, buf_str(&letter));
		/* Servers end sessions that bring many letters; what was not sent goes through
		 * another, unless it may have arrived, as behind a server that is silent. */
		if (status != CLIENT_OK && status != CLIENT_USAGE && status != CLIENT_TIMEOUT &&
		    smtp_client_trouble(m->run.c) != SMTP_TROUBLE_LOST &&
		    !(m->o->link.stop && *m->o->link.stop)) {
			status = connect_to(m);
			if (status == CLIENT_OK)
				status = send_single(m, &row, buf_str(&letter));
		}
		if (status != CLIENT_OK && m->err.len == 0)
			buf_putf(&m->err, "row %" PRIu64 ": " STR_FMT, row.no,
			    STR_ARG(buf_str(&m->run.why)));
		m->done++;
		merge_progress(m);
	}
	m->merges = 0;
	merge_row_done(&row);
	buf_done(&letter);
	return status;
}

/* --- the whole --- */

/* PowerMTA has XACK and writes places as [name], IronPort as &name;. */
static bool
same_style(const struct merging *m)
{
	struct str rest = buf_str(&smtp_client_caps(m->run.c)->lines);
	bool brackets = false;
	while (rest.len) {
		struct str line = str_cut(&rest, '\n');
		brackets |= str_ieq(str_word(&line), STR("XACK"));
	}
	return brackets == m->brackets;
}

static int
send_all(struct merging *m)
{
	int status = connect_to(m);
	bool single = m->single;
	if (status != CLIENT_OK)
		return status;
	if (!single && !same_style(m)) {
		event_warn(&m->o->events, "mail",
		    "the server's merge writes places for words the other way (%s); the letters "
		    "are put "
		    "together here",
		    m->brackets ? "&name;" : "[name]");
		single = true;
	}
	if (!single)
		status = merge_wire(m);
	if (status == MERGE_NO_XMRG) {
		if (!m->o->json && !m->o->show.quiet)
			fprintf(stderr, "The server has no XMRG: one letter for each recipient.\n");
		single = true;
	}
	if (single)
		status = merge_single(m);
	if (m->run.c && !smtp_client_is_over(m->run.c))
		(void)smtp_run_quit(&m->run);
	return status;
}

/* Every row is looked at before anything is sent, where that can be done. */
static int
look_ahead(struct merging *m, const char *path, const char *separator, const char *to_column)
{
	struct stat st;
	struct merge_row row;
	int n;
	if (strcmp(path, "-") == 0 || stat(path, &st) != 0 || !S_ISREG(st.st_mode))
		return CLIENT_OK;
	merge_row_init(&row);
	while ((n = merge_rows_next(&m->rows, &row, &m->err)) > 0)
		m->total++;
	merge_row_done(&row);
	if (n < 0)
		return CLIENT_IO;
	merge_rows_close(&m->rows);
	return merge_rows_open(&m->rows, path, separator, to_column, &m->err);
}

/* As it is, for a file; a terminal gets no controls. */
static void
print_letter(struct merging *m)
{
	struct buf letter = BUF_INIT(LETTERS_BODY_MAX + (1u << 20));
	put_letter(m, &letter);
	struct str rest = buf_str(&letter);
	while (rest.len) {
		struct str line = str_cut(&rest, '\n');
		line.len -= str_ends(line, STR("\r"));
		struct buf shown = BUF_INIT(4 * SAY_CELL_MAX);
		if (isatty(STDOUT_FILENO))
			show_escape(&shown, str_first(line, SAY_CELL_MAX));
		printf(STR_FMT "\n", STR_ARG(shown.len ? buf_str(&shown) : line));
		buf_done(&shown);
	}
	buf_done(&letter);
}

static int
dry_run(struct merging *m)
{
	struct merge_row row;
	int status = CLIENT_OK;
	merge_row_init(&row);
	int n = merge_next(m, &row);
	if (n < 0)
		status = CLIENT_IO;
	else if (n == 0)
		printf("There is no row that can be sent.\n");
	if (n > 0) {
		struct buf to = BUF_INIT(SAY_CELL_MAX);
		show_escape(&to, row.to);
		printf("MAIL FROM:<%s>\nRCPT TO:<" STR_FMT ">\n\n", m->from, STR_ARG(buf_str(&to)));
		buf_done(&to);
		print_letter(m);
		if (m->total)
			fprintf(stderr, "Row %" PRIu64 " of %" PRIu64 " rows; nothing was sent.\n",
			    row.no, m->total + 1);
		else
			fprintf(stderr, "Row %" PRIu64 "; nothing was sent.\n", row.no);
	}
	merge_row_done(&row);
	return status;
}

static int
tell_result(struct merging *m, int status)
{
	if (status == CLIENT_OK && m->refused)
		status = m->sent ? CLIENT_RCPT_SOME : CLIENT_RCPT_ALL;
	if (m->o->link.stop && *m->o->link.stop)
		status = CLIENT_INTERRUPTED;
	if (m->o->json) {
		say_json(json_pack("{sssIsIsIsi}", "ev", "result", "sent", (json_int_t)m->sent,
		    "refused", (json_int_t)m->refused, "merges", (json_int_t)m->merges, "status",
		    status));
	} else {
		printf("%" PRIu64 " sent", m->sent);
		if (m->merges)
			printf(" in %" PRIu64 " merge%s", m->merges, m->merges == 1 ? "" : "s");
		printf(", %" PRIu64 " refused\n", m->refused);
	}
	return status;
}

static void
done(struct merging *m)
{
	if (m->opened)
		smtp_run_close(&m->run);
	merge_rows_close(&m->rows);
	m->letters = letters_free(m->letters);
	for (size_t i = 0; i < m->n_parts; i++) {
		union { /* read_parts() made them */
			const char *in;
			char *out;
		} p = { m->parts[i].p };
		free(p.out);
	}
	free(m->parts);
	buf_done(&m->err);
}

struct given {
	const char *data, *to_column, *separator, *server;
	bool dry_run;
};

/* The words: parts, and a server behind them, which is no file. */
static int
take_words(struct merging *m, const struct given *g, size_t *ret_parts)
{
	struct client_options *o = m->o;
	size_t n = o->words.n;
	if (!g->data)
		return usage_error(o->cmd, "--data ROWS.csv names the table of recipients");
	if (g->server)
		o->server = g->server;
	else if (!g->dry_run && n > 1 && access(o->words.v[n - 1], F_OK) != 0)
		n--;
	else if (!g->dry_run && !o->server)
		return usage_error(o->cmd, "name a server behind the parts: HOST or HOST:PORT");
	if (n == 0 || n > LETTERS_PARTS_MAX)
		return usage_error(o->cmd, "name the files of the letter's parts, 1 to %d",
		    LETTERS_PARTS_MAX);
	if (!o->from && !o->null_sender)
		return usage_error(o->cmd, "--from ADDRESS names the sender");
	struct addr a;
	m->from = o->from ? o->from : "";
	if (*m->from && addr_mailbox(str_of(m->from), ADDR_SMTPUTF8, &a) != ADDR_OK)
		return usage_error(o->cmd, "--from %s is no address", m->from);
	*ret_parts = n;
	if (options_one_server(o) != CLIENT_OK)
		return CLIENT_USAGE;
	return g->dry_run ? CLIENT_OK : options_server(o, n, 25);
}

static int
merge(struct merging *m, const struct given *g)
{
	size_t n_parts = 0;
	buf_init(&m->err, 16u << 10);
	int status = take_words(m, g, &n_parts);
	if (status != CLIENT_OK) {
		buf_done(&m->err);
		return status;
	}
	status = merge_rows_open(&m->rows, g->data, g->separator, g->to_column, &m->err);
	if (status == CLIENT_OK)
		status = read_parts(m, &m->o->words, n_parts);
	if (status == CLIENT_OK)
		status = make_letters(m);
	if (status == CLIENT_OK)
		status = look_ahead(m, g->data, g->separator, g->to_column);
	if (status == CLIENT_OK && g->dry_run) {
		status = dry_run(m);
	} else if (status == CLIENT_OK) {
		status = send_all(m);
		status = tell_result(m, status);
	}
	if (m->err.len)
		say_error(buf_str(&m->err));
	done(m);
	return status;
}

static int
run(int argc, char **argv)
{
	struct client_options *o = xalloc(sizeof(*o));
	struct merging *m = xalloc(sizeof(*m));
	struct given g = { .data = NULL };
	const struct cli_opt extra[] = {
		{ "--data", OPT_VALUE, &g.data },
		{ "--to-column", OPT_VALUE, &g.to_column },
		{ "--separator", OPT_VALUE, &g.separator },
		{ "--server", OPT_VALUE, &g.server },
		{ "--brackets", OPT_FLAG, &m->brackets },
		{ "--single", OPT_FLAG, &m->single },
		{ "--dry-run", OPT_FLAG, &g.dry_run },
		{ NULL, OPT_FLAG, NULL },
	};
	m->o = o;
	int status = options_parse_with(o, cli_cmd_find("merge"),
	    OPTIONS_CONNECT | OPTIONS_HELLO | OPTIONS_AUTH | OPTIONS_ENVELOPE | OPTIONS_OUTPUT,
	    extra, argc, argv);
	if (status == CLIENT_OK) {
		say_setup(o);
		status = merge(m, &g);
	}
	status = options_done(o, status);
	free(m);
	free(o);
	return status;
}

const struct cli_cmd cmd_merge = {
	.name = "merge",
	.summary = "Send one letter in parts to many, with words of each recipient in it",
	.usage = "[OPTION]... --data ROWS.csv --from ADDRESS PART... HOST[:PORT]",
	.help =
	    "The first row of the table holds names, each further row is a recipient. Where a "
	    "part\n"
	    "says &name; (with --brackets: [name]), the row's word is put in, in the header, too;\n"
	    "&*TO; &*FROM; &*DATE; and &*PARTS; are known by themselves, and what has no column "
	    "stays\n"
	    "as it is. A column *PARTS says which parts a recipient gets, as 1,3 or 1-3; all of "
	    "them\n"
	    "without it. The parts are files, the header at the beginning of the first.\n"
	    "\n"
	    "Servers with XMRG (IronPort, PowerMTA, pennypost with ipmm = yes) get the parts once "
	    "and\n"
	    "put the letters together, all or none of them; other servers get them one by one.\n"
	    "\n"
	    "  --data FILE          the table (RFC 4180: commas, or semicolons or tabs), - for\n"
	    "                       standard input\n"
	    "  --to-column NAME     where the addresses stand; else *TO, to, email, mail, address "
	    "or\n"
	    "                       recipient\n"
	    "  --separator C        what parts the fields, or tab\n"
	    "  --brackets           [name] in the parts instead of &name;\n"
	    "  --single             never XMRG\n"
	    "  --dry-run            show the first letter, and send nothing\n"
	    "  --server HOST[:PORT] the server, instead of the last word\n"
	    "  --from ADDRESS or --null-sender; --user NAME and its --password-file; --tls,\n"
	    "                       --ca FILE, --timeout SEC, --verbose, --quiet as for send\n"
	    "  --json               refused rows and the result as objects, a line each\n"
	    "\n"
	    "Rows that are refused are told with their number in the table (the header is row 1).\n"
	    "Exit status: 0 all were sent, 10 none, 11 some; 12 the letter was refused; 18 a file\n"
	    "cannot be read; others as for send.\n"
	    "\n"
	    "Example: pennypost merge --dry-run --data people.csv --from news@example.com "
	    "letter.txt\n"
	    "         pennypost merge --data people.csv --from news@example.com letter.txt \\\n"
	    "             offer.txt mail.example.com:587 --user news@example.com\n",
	.words =
	    "--data=FILE --to-column= --separator= --brackets --single --dry-run --server= "
	    "--from= "
	    "--null-sender --user= --password-file=FILE --tls=may|must|never|implicit --ca=FILE "
	    "--timeout= --verbose --quiet --json",
	.run = run,
	.client = true,
};
