/* The letter before it goes: lint, and MIME when something was attached. */
#include "talk/smtp_priv.h"

#include "base/check.h"
#include "mail/compose.h"
#include "mail/lint.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/random.h"
#include "talk/child.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS_MAX 200

/* --- lint --- */

struct linting {
	struct talk *t;
	const char *missing[3]; /* what nearly every letter typed by hand lacks: one note for all */
	size_t n;
};

static void
finding(void *arg, const struct lint_finding *f)
{
	struct linting *l = arg;
	const char *name = f->rule == LINT_NO_FROM         ? "From"
	                   : f->rule == LINT_NO_DATE       ? "Date"
	                   : f->rule == LINT_NO_MESSAGE_ID ? "Message-ID"
	                                                   : NULL;
	if (name) {
		if (l->n < ARRAY_LEN(l->missing))
			l->missing[l->n++] = name;
		return;
	}
	struct buf about = BUF_INIT(1024);
	show_escape(&about, str_first(f->about, 100));
	if (f->line)
		event_warn(l->t->ev, "data", "Line %zu: %s; %s%s" STR_FMT "%s", f->line, f->what,
		    f->remedy, about.len ? " (" : "", STR_ARG(buf_str(&about)),
		    about.len ? ")" : "");
	else
		event_warn(l->t->ev, "data", "%s; %s%s" STR_FMT "%s", f->what, f->remedy,
		    about.len ? " (" : "", STR_ARG(buf_str(&about)), about.len ? ")" : "");
	buf_done(&about);
}

bool
smtp_lint(struct talk *t, struct str text)
{
	struct smtp_talk *s = smtp_of(t);
	struct linting l = { .t = t };
	struct typed typed;
	size_t errors = 0;
	if (t->o->lint == CLIENT_LINT_OFF || t->o->strict_typing)
		return true;
	typed_read(buf_str(&s->track.from_line), &typed);
	struct lint_conf conf = { .sender = typed.address,
		.eight_bit = caps_have(&s->track.caps, CAPS_8BITMIME),
		.utf8 = str_find_str(typed.params, STR("SMTPUTF8")) < typed.params.len };
	lint_letter(text, &conf, finding, &l, &errors);
	if (l.n)
		event_note(t->ev, "The letter has no %s%s%s%s%s; some servers add what is missing.",
		    l.missing[0], l.n > 1 ? ", " : "", l.n > 1 ? l.missing[1] : "",
		    l.n > 2 ? ", " : "", l.n > 2 ? l.missing[2] : "");
	if (errors == 0 || t->o->lint != CLIENT_LINT_ERROR)
		return true;
	event_result(t->ev, "data", CLIENT_LINT,
	    "Not sent: --lint=error. ~e edits the letter, ~q gives it up.");
	if (t->editor == NULL)
		talk_end(t, CLIENT_LINT);
	return false;
}

/* --- attachments --- */

struct parts {
	struct str fields[FIELDS_MAX];
	size_t n_fields;
	struct str body;
	struct buf unfolded;
	struct compose_file files[32];
	struct buf contents[32];
	size_t n_files;
};

static bool
is_ours(struct str field)
{
	static const char *const ours[] = {
		"From:", "To:", "MIME-Version:", "Content-Type:", "Content-Transfer-Encoding:"
	};
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		if (str_istarts(field, str_of(ours[i])))
			return true;
	return false;
}

/* The header as fields, each on one line; what is left is the text. */
static void
split(struct parts *p, const struct letter *l)
{
	struct str rest = buf_str(&l->text);
	p->body = rest;
	if (!letter_has_header(l))
		return;
	bool dropped = false;
	buf_reserve(&p->unfolded, rest.len); /* views of it are kept */
	while (rest.len) {
		struct str line = str_first(rest, str_find(rest, '\n') + 1);
		struct str text = str_rtrim(line);
		rest = str_skip(rest, line.len);
		if (text.len == 0)
			break;
		bool more = line.p[0] == ' ' || line.p[0] == '\t';
		size_t at = p->unfolded.len;
		dropped = more ? dropped : is_ours(text) || p->n_fields == FIELDS_MAX;
		if (dropped || (more && p->n_fields == 0))
			continue;
		buf_puts(&p->unfolded, text);
		if (more)
			p->fields[p->n_fields - 1].len += text.len;
		else
			p->fields[p->n_fields++] = str_n(p->unfolded.p + at, text.len);
	}
	p->body = rest;
}

/* FILE[;TYPE[;NAME]] */
static bool
add_file(struct parts *p, struct str what, struct buf *err)
{
	struct str file = str_trim(str_cut(&what, ';')), type = str_trim(str_cut(&what, ';'));
	struct str name = str_trim(what);
	struct buf *content = &p->contents[p->n_files];
	char *path = child_path(file);
	*content = BUF_INIT(LETTER_MAX);
	int error = file_read_all(path, LETTER_MAX, content);
	if (error < 0)
		buf_putf(err, "%s: %s", path, strerror(-error));
	free(path);
	if (name.len == 0)
		name =
		    str_skip(file, str_rfind(file, '/') < file.len ? str_rfind(file, '/') + 1 : 0);
	p->files[p->n_files++] =
	    (struct compose_file){ .name = name, .type = type, .octets = buf_str(content) };
	return error == 0;
}

static bool
put_mime(struct talk *t, struct parts *p, struct str from, struct str to, struct buf *out,
    struct buf *err)
{
	struct buf id = BUF_INIT(1024);
	char seed[33];
	snprintf(seed, sizeof seed, "%016" PRIx64 "%016" PRIx64, random_u64(), random_u64());
	struct str name = smtp_name(t);
	buf_putf(&id, "%.16s@" STR_FMT, seed, STR_ARG(name));
	int64_t sec = sys_wall_ms() / 1000;
	struct compose c = { .from = from,
		.to = &to,
		.n_to = to.len > 0,
		.fields = p->fields,
		.n_fields = p->n_fields,
		.text = p->body,
		.files = p->files,
		.n_files = p->n_files,
		.date = true,
		.sec = sec,
		.zone = sys_zone_minutes(sec),
		.message_id = buf_str(&id),
		.seed = str_of(seed) };
	bool ok = compose_letter(&c, out, err) && !out->failed;
	if (!ok && err->len == 0)
		buf_putz(err, "The letter has become too large.");
	buf_done(&id);
	return ok;
}

bool
smtp_compose(struct talk *t, struct buf *out)
{
	struct smtp_talk *s = smtp_of(t);
	struct parts *p = xalloc(sizeof *p);
	struct buf err = BUF_INIT(2048), from = BUF_INIT(64u << 10), to = BUF_INIT(64u << 10);
	struct typed typed;
	bool ok = true;
	p->unfolded = BUF_INIT(LETTER_MAX);
	split(p, &s->letter);
	letter_field(&s->letter, STR("From"), &from);
	letter_field(&s->letter, STR("To"), &to);
	typed_read(buf_str(&s->track.from_line), &typed);
	if (from.len == 0)
		buf_puts(&from, typed.address);
	for (size_t i = 0; i < s->n_attachments && ok; i++)
		ok = add_file(p, s->attachments[i], &err);
	ok = ok && put_mime(t, p, buf_str(&from), buf_str(&to), out, &err);
	if (!ok)
		event_warn(t->ev, "data", STR_FMT, STR_ARG(buf_str(&err)));
	for (size_t i = 0; i < p->n_files; i++)
		buf_done(&p->contents[i]);
	buf_done(&p->unfolded);
	free(p);
	buf_done(&err);
	buf_done(&from);
	buf_done(&to);
	return ok;
}
