/* Recipients and the letter of the command send. */
#include "oneshot/send_priv.h"

#include "base/check.h"
#include "client/name.h"
#include "mail/compose.h"
#include "mail/lint.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/random.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* --- recipients --- */

static bool
add_rcpt(struct sending *s, struct str addr)
{
	addr = str_trim(addr);
	if (addr.len >= 2 && addr.p[0] == '<' && addr.p[addr.len - 1] == '>')
		addr = str_n(addr.p + 1, addr.len - 2);
	if (addr.len == 0)
		return true;
	if (s->n == SEND_RCPTS_MAX) {
		complain("send: more than %u recipients", SEND_RCPTS_MAX);
		return false;
	}
	if ((s->n & (s->n + 1)) == 0) /* 0, 1, 3, 7, ...: room for twice as many */
		s->rcpts = xrealloc(s->rcpts, (s->n + 1) * 2 * sizeof(*s->rcpts));
	s->rcpts[s->n++] = (struct smtp_client_rcpt){ .addr = str_n(str_dup(addr), addr.len) };
	return true;
}

/* A line each; what begins with # is none. */
static int
rcpts_of_file(struct sending *s, const char *path)
{
	struct buf b = BUF_INIT(SEND_LIST_MAX);
	bool input = strcmp(path, "-") == 0;
	int r = input ? file_read_fd(STDIN_FILENO, SEND_LIST_MAX, &b)
	              : file_read_all(path, SEND_LIST_MAX, &b);
	int status = CLIENT_OK;
	if (r < 0) {
		complain("send: --to @%s: %s", path, strerror(-r));
		status = CLIENT_IO;
	}
	for (struct str left = buf_str(&b); status == CLIENT_OK && left.p;) {
		struct str line = str_trim(str_cut(&left, '\n'));
		if (!str_starts(line, STR("#")) && !add_rcpt(s, line))
			status = CLIENT_USAGE;
	}
	buf_done(&b);
	return status;
}

/* Commas part addresses, but not inside a quoted local part. */
static bool
add_list(struct sending *s, struct str list)
{
	bool quoted = false;
	size_t from = 0;
	for (size_t i = 0; i < list.len; i++) {
		if (list.p[i] == '\\' && quoted) {
			i++;
		} else if (list.p[i] == '"') {
			quoted = !quoted;
		} else if (list.p[i] == ',' && !quoted) {
			if (!add_rcpt(s, str_n(list.p + from, i - from)))
				return false;
			from = i + 1;
		}
	}
	return add_rcpt(s, str_skip(list, from));
}

int
send_take_rcpts(struct sending *s)
{
	const struct cli_words *to = &s->o->to;
	for (size_t i = 0; i < to->n; i++) {
		int status = CLIENT_OK;
		if (to->v[i][0] == '@')
			status = rcpts_of_file(s, to->v[i] + 1);
		else if (!add_list(s, str_of(to->v[i])))
			status = CLIENT_USAGE;
		if (status != CLIENT_OK)
			return status;
	}
	return CLIENT_OK;
}

/* --- the letter --- */

/* A file, or standard input. */
static int
take_file(const char *option, const char *path, struct buf *ret)
{
	bool input = strcmp(path, "-") == 0;
	int r = input ? file_read_fd(STDIN_FILENO, SEND_LETTER_MAX, ret)
	              : file_read_all(path, SEND_LETTER_MAX, ret);
	if (r == 0)
		return CLIENT_OK;
	complain("send: %s %s: %s", option, path,
	    r == -EFBIG ? "more than a letter can be" : strerror(-r));
	return CLIENT_IO;
}

struct parts {
	struct buf text, html, host, id;
	struct buf *octets;
	struct compose_file *files;
	struct str *to, *fields;
};

/* FILE[;TYPE][;NAME] */
static int
take_attachment(struct parts *p, size_t i, const char *value)
{
	struct str left = str_of(value), path = str_cut(&left, ';');
	struct str second = str_trim(str_cut(&left, ';')), third = str_trim(left);
	bool type = str_find(second, '/') < second.len;
	size_t slash = str_rfind(path, '/');
	char *file = str_dup(path);
	p->octets[i] = BUF_INIT(SEND_LETTER_MAX);
	int status = take_file("--attach", file, &p->octets[i]);
	free(file);
	struct str name = type ? third : second;
	if (name.len == 0)
		name = slash < path.len ? str_skip(path, slash + 1) : path;
	p->files[i] = (struct compose_file){
		.name = name, .type = type ? second : STR_NULL, .octets = buf_str(&p->octets[i])
	};
	return status;
}

static int
take_parts(struct sending *s, struct parts *p)
{
	const struct client_options *o = s->o;
	int status = CLIENT_OK;
	if (o->text_file)
		status = take_file("--text-file", o->text_file, &p->text);
	else
		buf_putz(&p->text, o->text                  ? o->text
				   : o->html || o->attach.n ? ""
							    : "This is a test.\n");
	if (status == CLIENT_OK && o->html)
		status = take_file("--html", o->html, &p->html);
	for (size_t i = 0; i < o->attach.n && status == CLIENT_OK; i++)
		status = take_attachment(p, i, o->attach.v[i]);
	for (size_t i = 0; i < o->headers.n; i++)
		p->fields[i] = str_of(o->headers.v[i]);
	for (size_t i = 0; i < s->n; i++)
		p->to[i] = s->rcpts[i].addr;
	return status;
}

static int
compose(struct sending *s, struct parts *p)
{
	const struct client_options *o = s->o;
	char seed[33];
	struct buf err = BUF_INIT(1000);
	(void)snprintf(seed, sizeof(seed), "%016llx%08llx", (unsigned long long)random_u64(),
	    (unsigned long long)(random_u64() >> 32));
	name_of_us(o->ehlo, -1, o->link.host, &p->host);
	bool literal = p->host.len > 0 && p->host.p[0] == '[';
	buf_putf(&p->id, "%s@" STR_FMT, seed,
	    STR_ARG(literal ? STR("pennypost.invalid") : buf_str(&p->host)));
	int64_t now = sys_wall_ms() / 1000;
	const struct compose c = {
		.from = s->e.from.len ? s->e.from : STR("Mail Delivery System <MAILER-DAEMON>"),
		.to = p->to,
		.n_to = s->n <= 50 ? s->n : 0,
		.subject = o->subject ? str_of(o->subject) : STR("A test"),
		.fields = p->fields,
		.n_fields = o->headers.n,
		.text = buf_str(&p->text),
		.html = buf_str(&p->html),
		.files = p->files,
		.n_files = o->attach.n,
		.date = !o->no_date,
		.sec = now,
		.zone = sys_zone_minutes(now),
		.message_id = o->no_message_id ? STR_NULL : buf_str(&p->id),
		.seed = str_of(seed),
		.utf8 = s->e.utf8,
		.eicar = o->eicar,
		.gtube = o->gtube,
	};
	bool ok = compose_letter(&c, &s->letter, &err);
	if (!ok)
		complain("send: " STR_FMT, STR_ARG(buf_str(&err)));
	buf_done(&err);
	return ok ? CLIENT_OK : CLIENT_USAGE;
}

int
send_take_letter(struct sending *s)
{
	const struct client_options *o = s->o;
	s->letter = BUF_INIT(SEND_LETTER_MAX);
	int status;
	if (o->data) {
		status = take_file("--data", o->data, &s->letter);
	} else {
		struct parts p = { .text = BUF_INIT(SEND_LETTER_MAX),
			.html = BUF_INIT(SEND_LETTER_MAX),
			.host = BUF_INIT(1000),
			.id = BUF_INIT(2000) };
		p.octets = xalloc((o->attach.n + 1) * sizeof(*p.octets));
		p.files = xalloc((o->attach.n + 1) * sizeof(*p.files));
		p.fields = xalloc((o->headers.n + 1) * sizeof(*p.fields));
		p.to = xalloc((s->n + 1) * sizeof(*p.to));
		status = take_parts(s, &p);
		if (status == CLIENT_OK)
			status = compose(s, &p);
		for (size_t i = 0; i < o->attach.n; i++)
			buf_done(&p.octets[i]);
		free(p.octets);
		free(p.files);
		free(p.fields);
		free(p.to);
		buf_done(&p.text);
		buf_done(&p.html);
		buf_done(&p.host);
		buf_done(&p.id);
	}
	for (size_t i = 0; i < s->letter.len && !s->eight_bit; i++)
		s->eight_bit = (unsigned char)s->letter.p[i] >= 0x80;
	return status;
}

/* --- lint --- */

static void
told(void *arg, const struct lint_finding *f)
{
	struct sending *s = arg;
	struct buf b = BUF_INIT(2000);
	if (f->line)
		buf_putf(&b, "line %zu: ", f->line);
	if (f->rule == LINT_FIELD_IN_BODY || f->rule == LINT_TWICE) {
		show_escape(&b, f->about);
		buf_putf(&b, "%s%s", f->rule == LINT_TWICE ? ": " : " ", f->what);
	} else {
		buf_putz(&b, f->what);
		if (f->about.len) {
			buf_putz(&b, " (");
			show_escape(&b, str_first(f->about, 60));
			buf_putc(&b, ')');
		}
	}
	event_warn(&s->o->events, "lint", STR_FMT "; %s", STR_ARG(buf_str(&b)), f->remedy);
	buf_done(&b);
}

int
send_lint(struct sending *s)
{
	size_t errors;
	const struct client_options *o = s->o;
	if (o->lint == CLIENT_LINT_OFF)
		return CLIENT_OK;
	const struct lint_conf conf = {
		.sender = s->e.from, .utf8 = s->e.utf8, .eight_bit = s->e.body != SMTP_BODY_7BIT
	};
	lint_letter(buf_str(&s->letter), &conf, told, s, &errors);
	if (o->lint != CLIENT_LINT_ERROR || errors == 0)
		return CLIENT_OK;
	return event_result(&s->o->events, "lint", CLIENT_LINT,
	    "%zu mistakes in the letter; nothing was sent (--lint=warn sends it all the same)",
	    errors);
}
