/* `pennypost b64`: what `openssl base64`, perl one-liners and web pages are used for, without a
 * shell that eats characters, a newline too much, or somebody who reads along. */
#include "base/base64.h"
#include "base/check.h"
#include "base/suggest.h"
#include "cli/cli.h"
#include "client/exit.h"
#include "client/secret.h"
#include "client/show.h"
#include "oneshot/b64_text.h"
#include "sys/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INPUT_MAX (256u << 20)

extern const struct cli_cmd cmd_b64;

struct b64 {
	const struct cli_cmd *cmd;
	struct cli_words words; /* behind the first */
	bool raw, show_secrets;
	const char *authzid;
	struct secret_from from;
	struct buf in; /* standard input, and how much of it was used */
	size_t used;
	bool read;
};

static int
usage(const struct b64 *b, const char *what)
{
	return usage_error(b->cmd, "%s", what);
}

static bool
at_terminal(void)
{
	return isatty(STDIN_FILENO);
}

static int
read_input(struct b64 *b)
{
	if (b->read)
		return CLIENT_OK;
	int error = file_read_fd(STDIN_FILENO, INPUT_MAX, &b->in);
	if (error < 0) {
		complain("standard input: %s", strerror(-error));
		return CLIENT_IO;
	}
	b->read = true;
	return CLIENT_OK;
}

/* The next line of standard input, without its end. */
static struct str
next_line(struct b64 *b)
{
	struct str rest = str_skip(buf_str(&b->in), b->used);
	size_t lf = str_find(rest, '\n');
	struct str line = str_first(rest, lf);

	b->used += MIN(lf + 1, rest.len);
	return line.len && line.p[line.len - 1] == '\r' ? str_first(line, line.len - 1) : line;
}

/* A line that is no secret: typed where one can see it. */
static int
ask(struct b64 *b, const char *prompt, struct buf *ret)
{
	if (!at_terminal()) {
		int status = read_input(b);
		buf_puts(ret, status == CLIENT_OK ? next_line(b) : STR_NULL);
		return status;
	}
	fputs(prompt, stderr);
	int c;
	while ((c = getchar()) != EOF && c != '\n')
		buf_putc(ret, (char)c);
	return CLIENT_OK;
}

static int
password(struct b64 *b, const char *prompt, struct buf *ret)
{
	struct buf err = BUF_INIT(2048);
	const char *env = getenv("PENNYPOST_PASSWORD");
	bool told = b->from.file || b->from.fd || (env && *env);
	int status = CLIENT_OK;

	buf_reserve(ret, 4096);
	if (!told && !at_terminal()) {
		status = read_input(b);
		if (status == CLIENT_OK)
			buf_puts(ret, next_line(b));
	} else {
		b->from.prompt = prompt;
		status = secret_get(&b->from, ret, &err);
		if (status != CLIENT_OK)
			complain_lines(buf_str(&err));
	}
	if (status == CLIENT_OK && ret->len == 0)
		status =
		    usage(b, "no password: standard input is no terminal, and has no line for it");
	buf_done(&err);
	return status;
}

static int
print(struct buf *text)
{
	buf_putc(text, '\n');
	bool ok = !text->failed && fwrite(text->p, 1, text->len, stdout) == text->len;
	buf_wipe(text);
	buf_done(text);
	if (!ok)
		complain("no room for the text");
	return ok ? CLIENT_OK : CLIENT_IO;
}

/* --- enc and dec -------------------------------------------------------------------------- */

static int
too_many(const struct b64 *b)
{
	return usage_error(b->cmd, "one word too many: %s (quote a text that has blanks)",
	    b->words.v[b->words.n - 1]);
}

/* The text: a word, standard input, or a line typed unseen. */
static int
get_text(struct b64 *b, const char *prompt, struct buf *typed, struct str *ret)
{
	if (b->words.n > 1)
		return too_many(b);
	if (b->words.n == 1) {
		*ret = str_of(b->words.v[0]);
		return CLIENT_OK;
	}
	int status;
	if (at_terminal()) {
		status = password(b, prompt, typed);
		*ret = buf_str(typed);
	} else {
		status = read_input(b);
		*ret = buf_str(&b->in);
	}
	return status;
}

static int
run_enc(struct b64 *b)
{
	struct buf typed = BUF_INIT(64u << 10), out = BUF_INIT(SIZE_MAX / 2);
	struct str text;

	int status = get_text(b, "Text (not shown): ", &typed, &text);
	if (status == CLIENT_OK) {
		size_t whole = text.len;
		if (!b->raw && b->words.n == 0 && text.len && text.p[text.len - 1] == '\n') {
			text.len--;
			if (text.len && text.p[text.len - 1] == '\r')
				text.len--;
		}
		if (text.len < whole)
			fputs("#  without the line end at the end; --raw keeps it\n", stderr);
		base64_enc(&out, text);
		status = print(&out);
	}
	buf_done(&out);
	buf_wipe(&typed);
	buf_done(&typed);
	return status;
}

static void
show_plain(const struct b64 *b, struct str authzid, struct str user, struct str secret,
    struct buf *out)
{
	buf_putz(out, "PLAIN\n  acts as   ");
	if (authzid.len)
		show_escape(out, authzid);
	else
		buf_putz(out, "(the user)");
	buf_putz(out, "\n  user      ");
	show_escape(out, user);
	buf_putz(out, "\n  password  ");
	if (b->show_secrets)
		show_escape(out, secret);
	else
		buf_putf(out, "<%zu octets; --show-secrets shows them>", secret.len);
	buf_putc(out, '\n');
}

/* Line ends stay, so that a text of several lines can be read. */
static void
show_text(struct str text, struct buf *out)
{
	while (text.p && text.len) {
		struct str line = str_cut(&text, '\n');
		if (line.len && line.p[line.len - 1] == '\r')
			line.len--;
		show_escape(out, line);
		buf_putc(out, '\n');
	}
	if (out->len == 0)
		buf_putc(out, '\n');
}

static int
show_decoded(const struct b64 *b, struct str raw)
{
	struct buf out = BUF_INIT(SIZE_MAX / 2);
	struct str authzid, user, secret;

	if (b->raw)
		buf_puts(&out, raw);
	else if (b64_plain_parts(raw, &authzid, &user, &secret))
		show_plain(b, authzid, user, secret, &out);
	else
		show_text(raw, &out);
	bool ok = !out.failed && fwrite(out.p, 1, out.len, stdout) == out.len;
	if (!b->raw && raw.len && raw.p[raw.len - 1] == '\n')
		fputs("#  it ends with a line end: `echo` adds one, `echo -n` does not\n", stderr);
	buf_wipe(&out);
	buf_done(&out);
	return ok ? CLIENT_OK : CLIENT_IO;
}

static int
run_dec(struct b64 *b)
{
	struct buf typed = BUF_INIT(64u << 10), raw = BUF_INIT(SIZE_MAX / 2);
	struct buf note = BUF_INIT(1024), err = BUF_INIT(1024);
	struct str text;

	int status = get_text(b, "Base64 (not shown): ", &typed, &text);
	if (status == CLIENT_OK && !b64_dec(text, &raw, &note, &err)) {
		complain_lines(buf_str(&err));
		status = CLIENT_USAGE;
	}
	if (status == CLIENT_OK) {
		if (note.len)
			fprintf(stderr, "#  " STR_FMT "\n", STR_ARG(buf_str(&note)));
		status = show_decoded(b, buf_str(&raw));
	}
	buf_wipe(&typed);
	buf_done(&typed);
	buf_wipe(&raw);
	buf_done(&raw);
	buf_done(&note);
	buf_done(&err);
	return status;
}

/* --- plain, login, cram ------------------------------------------------------------------- */

/* User and password; wiped by the caller. */
static int
get_both(struct b64 *b, struct buf *user, struct buf *secret)
{
	struct buf prompt = BUF_INIT(1024);
	int status = CLIENT_OK;

	if (b->words.n)
		buf_putz(user, b->words.v[0]);
	else
		status = ask(b, "User: ", user);
	if (status == CLIENT_OK && user->len == 0)
		status = usage(b, "which user? Name one behind the word");
	if (status == CLIENT_OK) {
		buf_putz(&prompt, "Password: ");
		status = password(b, buf_cstr(&prompt), secret);
	}
	buf_done(&prompt);
	return status;
}

static int
run_plain(struct b64 *b)
{
	struct buf user = BUF_INIT(64u << 10), secret = BUF_INIT(64u << 10);
	struct buf out = BUF_INIT(1u << 20);

	if (b->words.n > 1)
		return too_many(b);
	int status = get_both(b, &user, &secret);
	if (status == CLIENT_OK) {
		b64_plain(str_of(b->authzid), buf_str(&user), buf_str(&secret), &out);
		status = print(&out);
	}
	buf_done(&out);
	buf_done(&user);
	buf_wipe(&secret);
	buf_done(&secret);
	return status;
}

static int
run_login(struct b64 *b)
{
	struct buf user = BUF_INIT(64u << 10), secret = BUF_INIT(64u << 10);
	struct buf out = BUF_INIT(1u << 20);

	if (b->words.n > 1)
		return too_many(b);
	int status = get_both(b, &user, &secret);
	if (status == CLIENT_OK) {
		base64_enc(&out, buf_str(&user));
		buf_putc(&out, '\n');
		base64_enc(&out, buf_str(&secret));
		status = print(&out);
	}
	buf_done(&out);
	buf_done(&user);
	buf_wipe(&secret);
	buf_done(&secret);
	return status;
}

/* "334 PDE4OTYu..." as it was copied, or without the code. */
static bool
read_challenge(struct str text, struct buf *ret)
{
	struct buf note = BUF_INIT(1024), err = BUF_INIT(1024);

	text = str_trim(text);
	if (str_starts(text, STR("334 ")) || str_starts(text, STR("+ ")))
		text = str_skip(text, str_find(text, ' ') + 1);
	bool ok = text.len && b64_dec(text, ret, &note, &err) && ret->len;
	if (!ok && err.len)
		complain("the challenge: " STR_FMT, STR_ARG(buf_str(&err)));
	else if (!ok)
		complain("the challenge is empty; it is what stands behind 334");
	buf_done(&note);
	buf_done(&err);
	return ok;
}

static int
run_cram(struct b64 *b)
{
	struct buf user = BUF_INIT(64u << 10), secret = BUF_INIT(64u << 10);
	struct buf typed = BUF_INIT(64u << 10), challenge = BUF_INIT(64u << 10);
	struct buf out = BUF_INIT(1u << 20);
	int status = CLIENT_OK;

	if (b->words.n > 2)
		return too_many(b);
	if (b->words.n == 2)
		buf_putz(&typed, b->words.v[1]);
	else if (b->words.n == 1)
		status = ask(b, "Challenge (behind 334): ", &typed);
	else
		status = usage(b, "cram needs a USER, and the CHALLENGE from behind 334");
	if (status == CLIENT_OK && !read_challenge(buf_str(&typed), &challenge))
		status = CLIENT_USAGE;
	if (status == CLIENT_OK)
		status = get_both(b, &user, &secret);
	if (status == CLIENT_OK &&
	    b64_cram(buf_str(&user), buf_str(&secret), buf_str(&challenge), &out))
		status = print(&out);
	buf_done(&out);
	buf_done(&typed);
	buf_done(&challenge);
	buf_done(&user);
	buf_wipe(&secret);
	buf_done(&secret);
	return status;
}

/* --- */

static const struct {
	const char *name;
	int (*run)(struct b64 *b);
} actions[] = {
	{ "enc", run_enc },
	{ "dec", run_dec },
	{ "plain", run_plain },
	{ "login", run_login },
	{ "cram", run_cram },
};

static int
run_action(struct b64 *b, const char *name)
{
	struct suggest s;

	suggest_init(&s, str_of(name));
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		if (strcmp(actions[i].name, name) == 0)
			return actions[i].run(b);
		suggest_offer(&s, actions[i].name);
	}
	if (suggest_best(&s))
		return usage_error(b->cmd, "there is no %s; did you mean %s?", name,
		    suggest_best(&s));
	return usage_error(b->cmd, "there is no %s; write enc, dec, plain, login or cram", name);
}

static int
run(int argc, char **argv)
{
	struct b64 b = { .cmd = &cmd_b64, .in = BUF_INIT(INPUT_MAX + 1) };
	struct cli_words words;
	const struct cli_opt opts[] = {
		{ "--raw", OPT_FLAG, &b.raw },
		{ "--show-secrets", OPT_FLAG, &b.show_secrets },
		{ "--authzid", OPT_VALUE, &b.authzid },
		{ "--password-file", OPT_VALUE, &b.from.file },
		{ "--password-fd", OPT_VALUE, &b.from.fd },
		{ NULL, OPT_FLAG, NULL },
	};

	if (!cli_parse(b.cmd, argc, argv, opts, &words))
		return CLIENT_USAGE;
	int status;
	if (words.n == 0) {
		status = usage(&b, "say what to do: enc, dec, plain, login or cram");
	} else {
		b.words = (struct cli_words){ words.v + 1, words.n - 1 };
		status = run_action(&b, words.v[0]);
	}
	free(words.v);
	buf_wipe(&b.in);
	buf_done(&b.in);
	return status;
}

const struct cli_cmd cmd_b64 = {
	.name = "b64",
	.summary = "Encode and decode base64, and make the answers of a login, offline",
	.usage = "enc [--raw] [TEXT]\n"
		 "dec [--raw] [--show-secrets] [TEXT]\n"
		 "plain [--authzid Z] [USER]\n"
		 "login [USER]\n"
		 "cram USER [CHALLENGE]",
	.help =
	    "  enc    base64 of TEXT, of standard input, or of a line that is typed unseen. The "
	    "line\n"
	    "         end that `echo` adds is left out; --raw keeps every octet\n"
	    "  dec    the other way round. Control characters are escaped, and a password is left\n"
	    "         out; --raw writes the octets, --show-secrets the password\n"
	    "  plain  the answer of AUTH PLAIN: user and password, each behind a NUL octet\n"
	    "  login  the two answers of AUTH LOGIN: user and password, a line each\n"
	    "  cram   the answer of AUTH CRAM-MD5 to a CHALLENGE (what stands behind 334)\n"
	    "\n"
	    "The password is asked for and not shown; without a terminal it is the next line of\n"
	    "standard input. --password-file FILE, --password-fd N and $PENNYPOST_PASSWORD do as\n"
	    "well. It is never taken from the command line, where others can read it.\n"
	    "\n"
	    "Examples:\n"
	    "  pennypost b64 plain moonpoint@example.com\n"
	    "  pennypost b64 dec VXNlcm5hbWU6\n"
	    "  pennypost b64 enc < picture.png\n"
	    "  pennypost b64 cram joe '334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2U+'\n",
	.words = "enc dec plain login cram --raw --show-secrets --authzid= --password-file= "
		 "--password-fd=",
	.run = run,
	.client = true,
};
