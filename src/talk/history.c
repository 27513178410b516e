/* What was typed at a host, kept for the next time: no logins, nothing that may be a secret. */
#include "talk/talk_priv.h"

#include "base/check.h"
#include "sys/file.h"
#include "talk/typed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (1u << 20)
#define KEPT_LINES 1000
#define ADDRESSES_MAX 200

struct history {
	int fd; /* -1: nothing is kept beyond this session */
	char *addresses[ADDRESSES_MAX];
	size_t n; /* the last first */
};

/* Words that begin a line with a secret in it, in any of the protocols. */
static const char *const secret_verbs[] = {
	"AUTH",
	"PASS",
	"APOP",
	"USER",
	"LOGIN",
	"AUTHENTICATE",
	"XAUTH",
	"/auth",
	"/b64",
	"!auth",
	"!b64",
};

static bool
is_secret_verb(struct str word)
{
	for (size_t i = 0; i < ARRAY_LEN(secret_verbs); i++)
		if (str_ieq(word, str_of(secret_verbs[i])))
			return true;
	return false;
}

bool
talk_history_keeps(struct str line)
{
	struct str rest = str_trim(line), first = str_word(&rest), second = str_word(&rest);
	if (first.len == 0 || line.len > 4096)
		return false;
	for (size_t i = 0; i < line.len; i++)
		if ((unsigned char)line.p[i] < ' ' && line.p[i] != '\t')
			return false;
	for (struct str at = line; at.len; at = str_skip(at, 1))
		if (str_istarts(at, STR("password")))
			return false;
	/* IMAP's tag may stand first. */
	return !is_secret_verb(first) && !is_secret_verb(second);
}

static void
note_address(struct history *h, struct str line)
{
	struct typed typed;
	typed_read(line, &typed);
	if (typed.address.len == 0)
		return;
	size_t at = 0;
	while (at < h->n && !str_eq(str_of(h->addresses[at]), typed.address))
		at++;
	if (at == h->n && h->n < ADDRESSES_MAX)
		h->n++;
	at = MIN(at, h->n - 1);
	free(h->addresses[at]);
	memmove(&h->addresses[1], &h->addresses[0], at * sizeof h->addresses[0]);
	h->addresses[0] = str_dup(typed.address);
}

void
talk_history_offer(const struct history *h, struct words *w)
{
	for (size_t i = 0; h && i < h->n; i++)
		words_offer_as_is(w, str_of(h->addresses[i]));
}

static bool
put_path(struct buf *path, const char *host)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	if (state && *state == '/')
		buf_putf(path, "%s/pennypost/history", state);
	else if (home && *home == '/')
		buf_putf(path, "%s/.local/state/pennypost/history", home);
	else
		return false;
	if (dir_make(buf_cstr(path), 0700) < 0)
		return false;
	buf_putz(path, *host == '.' ? "/_" : "/");
	for (; *host; host++) {
		bool plain = (*host >= '0' && *host <= '9') || (*host >= 'a' && *host <= 'z') ||
		             (*host >= 'A' && *host <= 'Z') || strchr(".-_:", *host);
		buf_putc(path, plain ? *host : '_');
	}
	return !path->failed;
}

/* Reads what is there; when it has grown long, its newest lines replace it. */
static void
load(struct history *h, const char *path, void (*fn)(void *arg, const char *line), void *arg)
{
	struct buf text = BUF_INIT(FILE_MAX + 1);
	size_t lines = 0;
	if (file_read_all(path, FILE_MAX, &text) < 0)
		buf_reset(&text);
	for (size_t i = 0; i < text.len; i++)
		lines += text.p[i] == '\n';
	struct str rest = buf_str(&text);
	for (; lines > KEPT_LINES; lines--)
		str_cut(&rest, '\n');
	if (rest.len < text.len)
		file_replace(path, rest, 0600);
	while (rest.len) {
		char *line = str_dup(str_cut(&rest, '\n'));
		if (*line)
			fn(arg, line);
		note_address(h, str_of(line));
		free(line);
	}
	buf_done(&text);
}

struct history *
talk_history_open(const char *host, void (*fn)(void *arg, const char *line), void *arg)
{
	struct history *h = xalloc(sizeof *h);
	struct buf path = BUF_INIT(4096);
	h->fd = -1;
	if (host && put_path(&path, host)) {
		load(h, buf_cstr(&path), fn, arg);
		h->fd = open(buf_cstr(&path),
		    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (h->fd >= 0 && fchmod(h->fd, 0600) < 0) {
			close(h->fd);
			h->fd = -1;
		}
	}
	buf_done(&path);
	return h;
}

void
talk_history_add(struct history *h, struct str line)
{
	if (h == NULL || line.len == 0 || !talk_history_keeps(line))
		return;
	note_address(h, line);
	if (h->fd < 0)
		return;
	struct buf b = BUF_INIT(8192);
	buf_puts(&b, line);
	buf_putc(&b, '\n');
	if (file_write_all(h->fd, buf_str(&b)) < 0) {
		close(h->fd);
		h->fd = -1;
	}
	buf_done(&b);
}

struct history *
talk_history_close(struct history *h)
{
	if (h == NULL)
		return NULL;
	for (size_t i = 0; i < h->n; i++)
		free(h->addresses[i]);
	if (h->fd >= 0)
		close(h->fd);
	free(h);
	return NULL;
}
