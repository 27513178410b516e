/*
 * Import of an mbox file. The job's mark says where the last letter begins, and what it was: on
 * the next run that letter is read again, and if it is still the same the import goes on behind
 * it. So the file may have grown, but not have changed in front of that place.
 */
#include "ctl/import_priv.h"

#include "base/check.h"
#include "base/map.h"
#include "base/utf8.h"
#include "base/wire.h"
#include "mail/mbox.h"
#include "mail/when.h"
#include "store/mailbox.h"
#include "sys/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP ((size_t)1 << 20)
#define VIEW_EXTRA ((size_t)4 << 20) /* beyond a letter */
#define NOTES_MAX 20
#define POSITION_VERSION 1
#define POSITION_LEN 33

/* The last letter of the file that is in the mailbox. */
struct position {
	uint64_t start;      /* of its From_ line */
	uint64_t number;     /* counted from 1 */
	uint64_t size, hash; /* of what was stored */
};

struct reading {
	struct import *i;
	const char *path;
	int fd;
	struct buf data;
	size_t start; /* the view begins here */
	uint64_t off; /* of the view in the file */
	bool eof;
	struct mbox_split split;
	bool has_position;
	struct position last;
	unsigned notes;
};

/* --- positions --- */

static void
position_put(unsigned char out[POSITION_LEN], const struct position *p)
{
	out[0] = POSITION_VERSION;
	be64_put(out + 1, p->start);
	be64_put(out + 9, p->number);
	be64_put(out + 17, p->size);
	be64_put(out + 25, p->hash);
}

static bool
position_get(struct str s, struct position *ret)
{
	struct wire w = wire_of(s);
	struct position p = { 0 };
	uint8_t version = get_u8(&w);
	p.start = get_u64(&w);
	p.number = get_u64(&w);
	p.size = get_u64(&w);
	p.hash = get_u64(&w);
	if (!wire_done(&w) || version != POSITION_VERSION || p.start > INT64_MAX)
		return false;
	*ret = p;
	return true;
}

static uint64_t
hash_of(struct str octets)
{
	static const unsigned char key[16] = "pennypost letter";
	return siphash(key, octets);
}

/* --- reading --- */

static bool
fail(struct import *i, int status)
{
	if (i->status == EXIT_DONE)
		i->status = status;
	return false;
}

static bool
fill(struct reading *r)
{
	struct buf *b = &r->data;
	if (r->start >= b->len - r->start || b->cap - b->len < READ_STEP) {
		buf_drop(b, r->start);
		r->start = 0;
	}
	if (!buf_reserve(b, READ_STEP)) {
		complain("%s: no memory for a letter of %zu octets; lower --max-size", r->path,
		    b->len);
		return fail(r->i, EXIT_IO);
	}
	ssize_t n = read(r->fd, b->p + b->len, READ_STEP);
	if (n < 0 && errno == EINTR)
		return true;
	if (n < 0) {
		complain("%s: %s", r->path, strerror(errno));
		return fail(r->i, EXIT_IO);
	}
	r->eof = n == 0;
	b->len += (size_t)n;
	return true;
}

static bool
garbage(struct reading *r, const struct mbox_letter *l)
{
	struct str view = str_skip(buf_str(&r->data), r->start + l->size);
	struct buf b = BUF_INIT(1024);
	utf8_escape(&b, str_first(str_cut(&view, '\n'), 60));
	import_show_clear(r->i);
	complain("%s: line %llu is no From_ line, with which a letter begins in an mbox file: "
		 "\"" STR_FMT "\"; is this another kind of file? A directory of .eml files can be "
		 "imported as well",
	    r->path, (unsigned long long)l->line, STR_ARG(buf_str(&b)));
	buf_done(&b);
	return fail(r->i, EXIT_IO);
}

/* The next letter, or one that is too large, or the end; false: it failed, or is to end. */
static bool
next(struct reading *r, struct mbox_letter *l, enum mbox_verdict *ret)
{
	while (import_goes_on(r->i)) {
		struct str view = str_skip(buf_str(&r->data), r->start);
		*ret = mbox_split_next(&r->split, view, r->eof, l);
		if (*ret == MBOX_GARBAGE)
			return garbage(r, l);
		if (*ret == MBOX_MORE) {
			if (!fill(r))
				return false;
		} else if (*ret == MBOX_DROP) {
			r->start += l->size;
			r->off += l->size;
		} else {
			return true;
		}
	}
	return false;
}

static void
over(struct reading *r, const struct mbox_letter *l)
{
	r->start += l->size;
	r->off += l->size;
}

/* --- letters --- */

static uint32_t
flags_of(uint32_t f)
{
	static const uint32_t map[][2] = {
		{ MBOX_SEEN, MAILBOX_SEEN },
		{ MBOX_ANSWERED, MAILBOX_ANSWERED },
		{ MBOX_FLAGGED, MAILBOX_FLAGGED },
		{ MBOX_DELETED, MAILBOX_DELETED },
		{ MBOX_DRAFT, MAILBOX_DRAFT },
	};
	uint32_t flags = 0;
	for (size_t i = 0; i < ARRAY_LEN(map); i++)
		if (f & map[i][0])
			flags |= map[i][1];
	return flags;
}

static uint64_t
time_of(const struct mbox_letter *l, const struct mbox_facts *facts)
{
	int64_t sec;
	if (!when_from_line(l->from_line, &sec) && facts->has_date)
		sec = facts->date;
	else if (!when_from_line(l->from_line, &sec))
		return (uint64_t)sys_wall_ms();
	if (sec < 0)
		return 0;
	return MIN((uint64_t)sec * 1000, PACK_TIME_MAX);
}

static void
take(struct reading *r, const struct mbox_letter *l)
{
	struct import *i = r->i;
	struct mbox_facts facts;
	unsigned char was[POSITION_LEN], value[POSITION_LEN];
	size_t at = import_letter_begin(i);
	mbox_letter_put(&i->pack, l, &facts);
	struct str octets = i->pack.failed ? STR_NULL : str_skip(buf_str(&i->pack), at + 4);
	if (facts.internal) {
		i->n.internal++;
		import_letter_drop(i, at);
		return;
	}
	struct position p = { r->off, r->last.number + 1, octets.len, hash_of(octets) };
	struct buf where = BUF_INIT(256);
	buf_putf(&where, "letter %llu, at octet %llu", (unsigned long long)p.number,
	    (unsigned long long)p.start);
	position_put(was, &r->last);
	position_put(value, &p);
	import_letter_end(i, at,
	    &(struct pack_letter){ .time_ms = time_of(l, &facts),
		.flags = flags_of(facts.flags),
		.header_len = (uint32_t)MIN(facts.header_len, (uint64_t)UINT32_MAX),
		.there = r->has_position,
		.was = str_n(was, r->has_position ? sizeof(was) : 0),
		.value = str_n(value, sizeof(value)),
		.where = buf_str(&where) });
	buf_done(&where);
	r->last = p;
	r->has_position = true;
	i->seen++;
	i->seen_octets += octets.len;
}

static void
too_large(struct reading *r, uint64_t begin)
{
	struct import *i = r->i;
	struct buf size = BUF_INIT(64), max = BUF_INIT(64);
	i->n.too_large++;
	out_size(&size, r->off - begin);
	out_size(&max, i->max);
	if (r->notes++ < NOTES_MAX)
		import_note(i,
		    "%s: the letter at octet %llu has " STR_FMT ", more than " STR_FMT
		    "; it is skipped, and a later run goes on behind it: to have it, copy it into "
		    "a file of its own and import that with --max-size",
		    r->path, (unsigned long long)begin, STR_ARG(buf_str(&size)),
		    STR_ARG(buf_str(&max)));
	buf_done(&size);
	buf_done(&max);
}

static bool
read_all(struct reading *r)
{
	struct mbox_letter l;
	enum mbox_verdict v;
	uint64_t base = r->off, begin = r->off;
	while (next(r, &l, &v) && v != MBOX_END) {
		if (v == MBOX_LETTER)
			take(r, &l);
		over(r, &l);
		if (v == MBOX_TOO_LARGE)
			too_large(r, begin);
		begin = r->off;
		r->i->done = r->off - base;
		import_show(r->i, false);
	}
	return r->i->status == EXIT_DONE;
}

/* --- going on --- */

static bool
changed(struct reading *r)
{
	complain("%s has changed in front of octet %llu, where the last import ended; nothing was "
		 "imported. Put what is new into a file of its own and import that, or import the "
		 "whole file once more with --again: its letters come twice then",
	    r->path, (unsigned long long)r->last.start);
	return fail(r->i, EXIT_REFUSED);
}

/* The first From_ line says what all of them are like. Afterwards the view is empty. */
static bool
read_first(struct reading *r)
{
	struct mbox_letter l;
	enum mbox_verdict v;
	while ((v = mbox_split_next(&r->split, buf_str(&r->data), r->eof, &l)) == MBOX_MORE)
		if (!fill(r))
			return false;
	buf_reset(&r->data);
	r->eof = false;
	return v == MBOX_DROP || changed(r);
}

/* Reads the last letter again; afterwards the view begins behind it. */
static bool
go_on(struct reading *r)
{
	struct import *i = r->i;
	struct buf octets = BUF_INIT(PACK_LETTER_MAX);
	struct mbox_letter l;
	struct mbox_facts facts;
	enum mbox_verdict v;
	if (!position_get(buf_str(&i->position), &r->last)) {
		complain("%s: the mark of the last import cannot be read; was it made by a later "
			 "version? --again imports everything",
		    r->path);
		return fail(i, EXIT_REFUSED);
	}
	struct stat st;
	if (!read_first(r))
		return false;
	if (fstat(r->fd, &st) < 0 || (uint64_t)st.st_size <= r->last.start ||
	    lseek(r->fd, (off_t)r->last.start, SEEK_SET) < 0)
		return changed(r);
	r->off = r->last.start;
	r->split.max = PACK_LETTER_MAX;
	while (!r->eof && r->data.len < 5)
		if (!fill(r))
			return false;
	if (!str_starts(buf_str(&r->data), STR("From ")))
		return changed(r);
	if (!next(r, &l, &v))
		return false;
	bool same = v == MBOX_LETTER;
	if (same) {
		mbox_letter_put(&octets, &l, &facts);
		same = !octets.failed && octets.len == r->last.size &&
		       hash_of(buf_str(&octets)) == r->last.hash;
	}
	buf_done(&octets);
	over(r, &l);
	r->split.max = i->max;
	r->has_position = true;
	i->n.known += same ? r->last.number : 0;
	return same || changed(r);
}

/* --- the file --- */

/* Programs that write mbox files lock them by fcntl, a file beside them, or both. */
static void
lock(struct reading *r)
{
	struct flock f = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	struct buf beside = BUF_INIT(8192);
	if (fcntl(r->fd, F_SETLK, &f) < 0)
		complain("%s cannot be locked: %s; if another program changes it now, run this "
			 "command again afterwards",
		    r->path, strerror(errno));
	buf_putf(&beside, "%s.lock", r->path);
	if (buf_cstr(&beside) && !beside.failed && access(beside.p, F_OK) == 0)
		complain("%s is there: another program has locked the file, or has died; if it "
			 "changes the file now, run this command again afterwards",
		    beside.p);
	buf_done(&beside);
}

static bool
format_of(struct import *i, enum mbox_format *ret)
{
	static const struct {
		const char *name;
		enum mbox_format format;
	} formats[] = { { "mbox", MBOX_AUTO }, { "mboxrd", MBOX_RD }, { "mboxo", MBOX_O },
		{ "mboxcl2", MBOX_CL2 } };
	const char *name = i->format ? i->format : "mbox";
	for (size_t n = 0; n < ARRAY_LEN(formats); n++) {
		if (strcmp(formats[n].name, name) != 0)
			continue;
		*ret = formats[n].format;
		return true;
	}
	return false;
}

static bool
read_file(struct reading *r, const char *mailbox, bool resumable)
{
	struct import *i = r->i;
	struct buf identity = BUF_INIT(16u << 10);
	struct stat st;
	buf_putf(&identity, "mbox %s", i->source);
	const char *id = buf_cstr(&identity);
	bool ok = import_part_begin(i, mailbox, resumable && !identity.failed ? id : NULL);
	buf_done(&identity);
	if (!ok)
		return false;
	if (resumable)
		lock(r);
	if (i->position.len && !go_on(r))
		return false;
	i->todo = 0;
	if (resumable && fstat(r->fd, &st) == 0 && (uint64_t)st.st_size > r->off)
		i->todo = (uint64_t)st.st_size - r->off;
	ok = read_all(r);
	return import_part_end(i) && ok;
}

bool
import_mbox(struct import *i, const char *path, const char *mailbox)
{
	bool is_stdin = strcmp(path, "-") == 0;
	struct reading r = { .i = i, .path = is_stdin ? "standard input" : path };
	enum mbox_format format;
	struct stat st;
	if (!format_of(i, &format)) {
		i->status = usage_error(i->call->cmd,
		    "import: a file is of format mbox, mboxrd, mboxo or mboxcl2, not %s",
		    i->format);
		return false;
	}
	r.fd = is_stdin ? STDIN_FILENO : import_open(path, 0);
	if (r.fd < 0 || fstat(r.fd, &st) < 0) {
		complain("%s: %s", path, strerror(r.fd < 0 ? -r.fd : errno));
		return fail(i, EXIT_IO);
	}
	bool resumable = !is_stdin && S_ISREG(st.st_mode);
	char *real = resumable ? realpath(path, NULL) : NULL;
	i->source = real ? real : xstrdup(r.path);
	if (!resumable)
		complain("%s can only be read once: what is in the mailbox when this is "
			 "interrupted would come twice",
		    r.path);
	r.data = BUF_INIT(2 * MAX(i->max, (uint64_t)PACK_LETTER_MAX) + VIEW_EXTRA);
	mbox_split_init(&r.split, format, i->max);
	bool ok = read_file(&r, mailbox, resumable && real);
	buf_done(&r.data);
	if (!is_stdin)
		close(r.fd);
	free(i->source);
	i->source = NULL;
	return ok;
}
