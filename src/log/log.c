#include "log/log.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/date.h"
#include "base/utf8.h"
#include "sys/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct level {
	const char *name;
	const char *priority; /* sd-daemon(3) */
};

static const struct level levels[] = {
	[LOG_ERROR] = { "error", "<3>" },
	[LOG_WARN] = { "warn", "<4>" },
	[LOG_INFO] = { "info", "<6>" },
	[LOG_DEBUG] = { "debug", "<7>" },
};

/* Set before threads start, except the atomics. */
static struct {
	const char *who;
	int fd;
	bool journal;
	bool may_block; /* a pipe, a socket or a terminal */
	atomic_int least;
	atomic_ullong dropped; /* in all */
	atomic_ullong untold;  /* of them, not yet mentioned */
} out = { .who = "pennypost", .fd = 2, .may_block = true, .least = LOG_INFO };

/* systemd.exec(5): JOURNAL_STREAM is "device:inode" of the stream that leads to the journal. */
static bool
is_journal(const struct stat *st)
{
	const char *z = getenv("JOURNAL_STREAM");
	char mine[64];
	if (!z)
		return false;
	snprintf(mine, sizeof(mine), "%llu:%llu", (unsigned long long)st->st_dev,
	    (unsigned long long)st->st_ino);
	return strcmp(z, mine) == 0;
}

void
log_init(const char *who, int fd, enum log_level least)
{
	struct stat st;
	bool known = fstat(fd, &st) == 0;
	out.who = who;
	out.fd = fd;
	out.journal = known && is_journal(&st);
	out.may_block = !known || !S_ISREG(st.st_mode);
	log_set_level(least);
}

void
log_redirect(int fd)
{
	if (fd != out.fd)
		(void)dup3(fd, out.fd, 0);
}

void
log_set_level(enum log_level least)
{
	atomic_store(&out.least, (int)least);
}

uint64_t
log_dropped(void)
{
	return atomic_load(&out.dropped);
}

bool
log_level_parse(struct str s, enum log_level *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		if (str_eq(s, str_of(levels[i].name))) {
			*ret = (enum log_level)i;
			return true;
		}
	}
	return false;
}

const char *
log_num(char buf[24], long long n)
{
	snprintf(buf, 24, "%lld", n);
	return buf;
}

#define CUT_MARK "\" cut=1\n"

/* A line under construction; what does not fit whole is left out, and all that follows. */
struct line {
	size_t len;
	bool cut;
	char p[LOG_LINE_MAX];
};

static void
put(struct line *l, const char *p, size_t n)
{
	if (l->cut || n > sizeof(l->p) - sizeof(CUT_MARK) - l->len) {
		l->cut = true;
		return;
	}
	memcpy(l->p + l->len, p, n);
	l->len += n;
}

static void
putz(struct line *l, const char *z)
{
	put(l, z, strlen(z));
}

/* Length of the UTF-8 character at the start of s if it may stand in a log as it is, else 0.
 * Line and paragraph separators and the marks that turn the direction of writing may not. */
static size_t
plain_utf8(struct str s)
{
	unsigned char c = (unsigned char)s.p[0];
	size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
	if (c < 0xc2 || s.len < n || !utf8_valid(str_first(s, n)))
		return 0;
	const unsigned char *u = (const unsigned char *)s.p;
	if (c == 0xc2 && u[1] < 0xa0) /* C1 */
		return 0;
	if (c == 0xe2 && ((u[1] == 0x80 && u[2] >= 0xa8 && u[2] <= 0xae) ||
			     (u[1] == 0x81 && u[2] >= 0xa6 && u[2] <= 0xa9)))
		return 0;
	return n;
}

static bool
is_plain(char c)
{
	return c > 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* One character, escaped if need be; returns how many octets of s it took. */
static size_t
put_char(struct line *l, struct str s)
{
	char esc[5];
	size_t n = 1;
	if (is_plain(s.p[0]) || s.p[0] == ' ' || (n = plain_utf8(s)) > 0) {
		put(l, s.p, n);
		return n;
	}
	if (s.p[0] == '"' || s.p[0] == '\\')
		snprintf(esc, sizeof(esc), "\\%c", s.p[0]);
	else
		snprintf(esc, sizeof(esc), "\\x%02x", (unsigned char)s.p[0]);
	putz(l, esc);
	return 1;
}

static void
put_value(struct line *l, struct str v)
{
	size_t plain = 0;
	while (plain < v.len && is_plain(v.p[plain]))
		plain++;
	if (plain == v.len && v.len > 0) {
		for (size_t i = 0; i < v.len && !l->cut; i++)
			put(l, v.p + i, 1);
		return;
	}
	put(l, "\"", 1);
	bool open = !l->cut;
	while (v.len && !l->cut)
		v = str_skip(v, put_char(l, v));
	if (!open)
		return;
	put(l, "\"", 1);
	if (l->cut) /* CUT_MARK kept room for it */
		l->p[l->len++] = '"';
}

static void
put_field(struct line *l, const char *key, struct str value)
{
	if (l->cut)
		return;
	size_t start = l->len;
	put(l, " ", 1);
	putz(l, key);
	put(l, "=", 1);
	if (l->cut)
		l->len = start; /* no half a key */
	else
		put_value(l, value);
}

static void
put_head(struct line *l, enum log_level level, uint64_t session)
{
	if (out.journal) {
		putz(l, levels[level].priority);
	} else {
		struct buf b = BUF_INIT(64);
		date_rfc3339(&b, sys_wall_ms());
		put(l, b.p, b.len);
		buf_done(&b);
		put(l, " ", 1);
	}
	putz(l, levels[level].name);
	put(l, " ", 1);
	putz(l, out.who);
	if (session) {
		char id[14];
		id_format(id, session);
		put_field(l, "session", str_of(id));
	}
}

static bool
emit(const struct line *l)
{
	/* Whoever reads the other end may be slow, and the descriptor is not ours alone, so it
	 * stays blocking and is asked first. A pipe that polls writable takes PIPE_BUF octets. */
	struct pollfd pfd = { .fd = out.fd, .events = POLLOUT };
	if (out.may_block && (poll(&pfd, 1, 0) <= 0 || !(pfd.revents & POLLOUT)))
		return false;
	ssize_t n;
	do
		n = write(out.fd, l->p, l->len);
	while (n < 0 && errno == EINTR);
	return n >= 0;
}

void
log_event(enum log_level level, uint64_t session, const char *event, const struct log_field *fields)
{
	if ((int)level > atomic_load_explicit(&out.least, memory_order_relaxed))
		return;
	int saved = errno;
	struct line l;
	l.len = 0;
	l.cut = false;
	put_head(&l, level, session);
	unsigned long long lost = atomic_exchange(&out.untold, 0);
	char num[24];
	if (lost)
		put_field(&l, "dropped", str_of(log_num(num, (long long)lost)));
	put_field(&l, "event", str_of(event));
	for (; fields && fields->key; fields++)
		put_field(&l, fields->key, fields->value);
	if (l.cut) {
		memcpy(l.p + l.len, " cut=1", 6);
		l.len += 6;
	}
	l.p[l.len++] = '\n';
	if (!emit(&l)) {
		atomic_fetch_add(&out.untold, lost + 1);
		atomic_fetch_add(&out.dropped, 1);
	}
	errno = saved;
}
