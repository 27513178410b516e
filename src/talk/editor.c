#include "talk/editor.h"

#include "base/check.h"
#include "client/show.h"

#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#define HISTORY_MAX 1000
#define ESCAPE_PROMPT "pennypost> "

struct editor {
	struct editor_conf conf;
	EditLine *el;
	History *history;
	FILE *in, *out;
	bool dumb;    /* the cursor cannot go up */
	bool editing; /* within el_gets() */
	bool leaving;
	bool escaped; /* ^] was typed */
	bool fresh;   /* the last line entered is what stands above the cursor */
	unsigned hidden;
	unsigned suspended;
	enum editor_got got;
	size_t rows; /* of the last line entered */
	struct buf prompt, proposed, stash;
	mbstate_t decoding;
};

/* --- the screen --- */

static size_t
columns(const struct editor *e)
{
	struct winsize ws;
	if (ioctl(fileno(e->out), TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0)
		return ws.ws_col;
	return 80;
}

static char *
prompt_text(EditLine *el)
{
	struct editor *e;
	el_get(el, EL_CLIENTDATA, &e);
	buf_reset(&e->prompt);
	if (e->conf.color)
		buf_putz(&e->prompt, "\1\033[1m\1");
	if (e->escaped)
		buf_putz(&e->prompt, ESCAPE_PROMPT);
	else
		e->conf.prompt(e->conf.arg, &e->prompt);
	if (e->conf.color) { /* the blank behind it, since libedit drops an escape at the end */
		buf_trunc(&e->prompt, e->prompt.len - str_ends(buf_str(&e->prompt), STR(" ")));
		buf_putz(&e->prompt, "\1\033[0m\1 ");
	}
	return (char *)(uintptr_t)buf_cstr(&e->prompt);
}

static size_t
prompt_width(struct editor *e)
{
	const char *p = prompt_text(e->el);
	size_t n = strlen(p);
	return e->conf.color && n >= 12 ? n - (6 + 6) : n;
}

static size_t
text_width(const wchar_t *from, const wchar_t *to)
{
	size_t width = 0;
	for (; from < to; from++) {
		int w = wcwidth(*from);
		width += w >= 0 ? (size_t)w : *from < 0x20 || *from == 0x7f ? 2 : 8;
	}
	return width;
}

/* Clears the screen from `rows` lines above the cursor's line on. */
static void
clear_up(struct editor *e, size_t rows)
{
	fputs("\r", e->out);
	if (rows > 0)
		fprintf(e->out, "\033[%zuA", rows);
	fputs("\033[J", e->out);
}

void
editor_hide(struct editor *e)
{
	e->fresh = false;
	if (e->hidden++ > 0 || !e->editing || e->suspended)
		return;
	const LineInfoW *li = el_wline(e->el);
	size_t at = prompt_width(e) + text_width(li->buffer, li->cursor);
	if (e->dumb)
		fputs("\n", e->out);
	else
		clear_up(e, at / columns(e));
	fflush(e->out);
}

void
editor_show(struct editor *e)
{
	check(e->hidden > 0);
	if (--e->hidden > 0 || !e->editing || e->suspended || e->leaving)
		return;
	fflush(NULL);
	el_set(e->el, EL_REFRESH);
}

void
editor_leave(struct editor *e)
{
	e->leaving = true;
}

void
editor_erase(struct editor *e)
{
	if (!e->fresh || e->dumb || e->editing)
		return;
	clear_up(e, e->rows);
	fflush(e->out);
	e->fresh = false;
}

void
editor_suspend(struct editor *e)
{
	editor_hide(e);
	if (e->suspended++ == 0)
		el_set(e->el, EL_PREP_TERM, 0);
}

void
editor_resume(struct editor *e)
{
	check(e->suspended > 0);
	if (--e->suspended == 0 && e->editing)
		el_set(e->el, EL_PREP_TERM, 1);
	editor_show(e);
}

/* --- keys --- */

static void
stop_editing(struct editor *e, enum editor_got got)
{
	e->got = got;
}

/* One octet at a time: what is behind it may be for a password prompt. */
static int
read_char(EditLine *el, wchar_t *ret)
{
	struct editor *e;
	el_get(el, EL_CLIENTDATA, &e);
	for (;;) {
		switch (e->conf.wait(e->conf.arg, fileno(e->in))) {
		case EDITOR_KEY:
			break;
		case EDITOR_WAIT_INTERRUPT:
			stop_editing(e, EDITOR_INTERRUPT);
			return -1;
		case EDITOR_WAIT_STOP:
			stop_editing(e, EDITOR_STOP);
			return -1;
		case EDITOR_WAIT_RESIZE:
			el_resize(el);
			el_set(el, EL_REFRESH);
			continue;
		}
		char c;
		ssize_t n = read(fileno(e->in), &c, 1);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0) {
			stop_editing(e, EDITOR_END);
			return -1;
		}
		size_t used = mbrtowc(ret, &c, 1, &e->decoding);
		if (used == (size_t)-2)
			continue;
		if (used == (size_t)-1) { /* no character: not typed */
			memset(&e->decoding, 0, sizeof e->decoding);
			continue;
		}
		if (used == 0)
			*ret = L'\0';
		return 1;
	}
}

static unsigned char
key_escape(EditLine *el, int key)
{
	struct editor *e;
	el_get(el, EL_CLIENTDATA, &e);
	const LineInfo *li = el_line(el);
	buf_reset(&e->stash);
	buf_put(&e->stash, li->buffer, (size_t)(li->lastchar - li->buffer));
	editor_hide(e);
	e->escaped = true;
	el_cursor(el, (int)(li->lastchar - li->cursor));
	el_wdeletestr(el, (int)(el_wline(el)->lastchar - el_wline(el)->buffer));
	editor_show(e);
	return CC_NORM;
}

static void
print_choices(struct editor *e, const struct words *w)
{
	size_t widest = 0, cols = columns(e);
	for (size_t i = 0; i < w->n; i++)
		widest = MAX(widest, strlen(w->found[i]) + 2);
	size_t per_row = MAX((size_t)1, cols / widest);
	editor_hide(e);
	for (size_t i = 0; i < w->n; i++) {
		struct buf shown = BUF_INIT(64u << 10);
		show_escape(&shown, str_of(w->found[i]));
		fprintf(e->out, "%-*s%s", (int)widest, shown.len ? buf_cstr(&shown) : "",
		    (i + 1) % per_row == 0 || i + 1 == w->n ? "\n" : "");
		buf_done(&shown);
	}
	editor_show(e);
}

static unsigned char
key_complete(EditLine *el, int key)
{
	struct editor *e;
	el_get(el, EL_CLIENTDATA, &e);
	const LineInfo *li = el_line(el);
	struct buf line = BUF_INIT(64u << 10), more = BUF_INIT(64u << 10);
	struct words w;
	unsigned char result = CC_REFRESH;
	if (e->escaped)
		buf_putc(&line, '/');
	buf_put(&line, li->buffer, (size_t)(li->cursor - li->buffer));
	words_init(&w, buf_str(&line));
	e->conf.complete(e->conf.arg, &w);
	size_t common = words_common(&w);
	if (w.n > 0 && common > 0)
		buf_puts(&more, str_n(w.found[0] + w.word.len, common));
	if (w.n == 1 && !str_ends(str_of(w.found[0]), STR("/")) &&
	    !str_ends(str_of(w.found[0]), STR(":")))
		buf_putc(&more, ' ');
	if (more.len)
		el_insertstr(el, buf_cstr(&more));
	else if (w.n > 1)
		print_choices(e, &w);
	else
		result = CC_REFRESH_BEEP;
	words_done(&w);
	buf_done(&line);
	buf_done(&more);
	return result;
}

/* --- life --- */

/* Without a locale of UTF-8 a terminal still is one nearly everywhere. */
static void
set_locale(void)
{
	setlocale(LC_CTYPE, "");
	if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0 && setlocale(LC_CTYPE, "C.UTF-8") == NULL)
		setlocale(LC_CTYPE, "en_US.UTF-8");
}

static void
bind_keys(EditLine *el)
{
	el_set(el, EL_ADDFN, "talk-escape", "begin a local command", key_escape);
	el_set(el, EL_ADDFN, "talk-complete", "complete the word", key_complete);
	el_set(el, EL_BIND, "^]", "talk-escape", NULL);
	el_set(el, EL_BIND, "-a", "^]", "talk-escape", NULL);
	el_set(el, EL_BIND, "^I", "talk-complete", NULL);
	el_set(el, EL_BIND, "^R", "em-inc-search-prev", NULL);
	const char *keys = NULL;
	if (el_get(el, EL_EDITOR, &keys) == 0 && keys && strcmp(keys, "vi") == 0)
		return; /* ESC is a key of its own there, and must not wait for more */
	el_set(el, EL_BIND, "\\e[1~", "ed-move-to-beg", NULL);
	el_set(el, EL_BIND, "\\e[4~", "ed-move-to-end", NULL);
	el_set(el, EL_BIND, "\\e[3~", "ed-delete-next-char", NULL);
	el_set(el, EL_BIND, "\\e[1;5D", "ed-prev-word", NULL);
	el_set(el, EL_BIND, "\\e[1;5C", "em-next-word", NULL);
}

struct editor *
editor_new(const struct editor_conf *conf, FILE *in, FILE *out)
{
	struct editor *e = xalloc(sizeof *e);
	HistEvent he;
	const char *term = getenv("TERM");
	set_locale();
	*e = (struct editor){ .conf = *conf,
		.in = in,
		.out = out,
		.prompt = BUF_INIT(4096),
		.proposed = BUF_INIT(64u << 10),
		.stash = BUF_INIT(1u << 20),
		.dumb = term == NULL || *term == '\0' || strcmp(term, "dumb") == 0 };
	e->el = el_init("pennypost", in, out, stderr);
	e->history = history_init();
	check(e->el && e->history);
	history(e->history, &he, H_SETSIZE, HISTORY_MAX);
	history(e->history, &he, H_SETUNIQUE, 1);
	el_set(e->el, EL_CLIENTDATA, e);
	el_set(e->el, EL_SIGNAL, 0);
	el_set(e->el, EL_EDITOR, "emacs");
	el_set(e->el, EL_PROMPT_ESC, prompt_text, '\1');
	el_set(e->el, EL_HIST, history, e->history);
	el_set(e->el, EL_GETCFN, read_char);
	el_source(e->el, NULL);
	bind_keys(e->el);
	return e;
}

struct editor *
editor_free(struct editor *e)
{
	if (e == NULL)
		return NULL;
	el_end(e->el);
	history_end(e->history);
	buf_done(&e->prompt);
	buf_done(&e->proposed);
	buf_done(&e->stash);
	free(e);
	return NULL;
}

void
editor_remember(struct editor *e, const char *line)
{
	HistEvent he;
	history(e->history, &he, H_ENTER, line);
}

void
editor_propose(struct editor *e, struct str text)
{
	buf_reset(&e->proposed);
	if (!e->editing) {
		buf_puts(&e->proposed, text);
		return;
	}
	const LineInfo *li = el_line(e->el);
	if (li->lastchar > li->buffer)
		return;
	buf_puts(&e->proposed, text);
	editor_hide(e);
	el_insertstr(e->el, buf_cstr(&e->proposed));
	editor_show(e);
	buf_reset(&e->proposed);
}

static enum editor_got
edit(struct editor *e, struct buf *ret)
{
	int n = 0;
	e->got = EDITOR_END;
	e->editing = true;
	if (e->proposed.len)
		el_push(e->el, buf_cstr(&e->proposed));
	buf_reset(&e->proposed);
	const char *line = el_gets(e->el, &n);
	e->editing = false;
	if (line == NULL || n <= 0) {
		fputs(e->got == EDITOR_INTERRUPT ? "^C\n"
		      : e->got == EDITOR_END     ? "\n"
						 : "",
		    e->out);
		fflush(e->out);
		return e->got;
	}
	buf_put(ret, line, (size_t)n);
	while (ret->len && (ret->p[ret->len - 1] == '\n' || ret->p[ret->len - 1] == '\r'))
		buf_trunc(ret, ret->len - 1);
	return EDITOR_LINE;
}

enum editor_got
editor_line(struct editor *e, struct buf *ret)
{
	e->escaped = false;
	buf_reset(ret);
	if (e->stash.len) {
		editor_propose(e, buf_str(&e->stash));
		buf_reset(&e->stash);
	}
	enum editor_got got = edit(e, ret);
	if (got == EDITOR_LINE) {
		mbstate_t st = { 0 };
		const char *p = buf_cstr(ret);
		wchar_t *wide = xalloc((ret->len + 1) * sizeof *wide);
		size_t n = mbsrtowcs(wide, &p, ret->len + 1, &st);
		size_t width =
		    prompt_width(e) + (n == (size_t)-1 ? ret->len : text_width(wide, wide + n));
		free(wide);
		e->rows = width / columns(e) + 1;
		e->fresh = true;
	}
	if (e->escaped && got == EDITOR_LINE)
		return EDITOR_ESCAPE;
	return got;
}
