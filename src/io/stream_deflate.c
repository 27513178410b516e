/*
 * stream_deflate: compression inside a stream (RFC 4978): raw deflate in both directions.
 *
 * Every flush ends in an empty block at an octet's end, so the state of a compressor may be let go
 * there and a new one go on: it only never refers to what was said before. Of the other direction
 * the peer may refer to the last 32 KiB of what it said: an idle stream keeps those, which as a
 * rule are a few commands, and lets the rest go.
 */
#include "base/check.h"
#include "io/stream_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define WINDOW_IN (-15)  /* the peer's choice; raw */
#define WINDOW_OUT (-13) /* ours: 8 KiB */
#define MEMORY_OUT 7
#define LEVEL_OUT 3
#define PIECE (16u << 10)
#define RESTS 3 /* calls of stream_rest() without anything in between */
#define DICTIONARY_MAX 32768

/* A large local array that need not be cleared on every call. */
#if defined(__has_attribute) && __has_attribute(uninitialized)
#define UNINITIALIZED __attribute__((uninitialized))
#else
#define UNINITIALIZED
#endif

struct stream_deflate {
	z_stream *packer, *unpacker; /* NULL: idle */
	struct buf out;              /* compressed */
	size_t out_off;              /* octets of it already sent */
	struct buf in;               /* compressed: what had no room inflated */
	struct buf dictionary;       /* while there is no unpacker */
	bool more;                   /* the unpacker holds octets back */
	bool ended;                  /* the peer ended its half */
	unsigned rests;
};

bool
stream_deflate(struct stream *s)
{
	check(s->io && !s->z && stream_input(s).len == 0 && stream_unsent(s) == 0);
	struct stream_deflate *z = calloc(1, sizeof(*z));
	if (!z)
		return false;
	/* deflateBound() is never more than 5/32 above, and then some for the flush. */
	buf_init(&z->out, s->out.max + s->out.max / 4 + 1024);
	buf_init(&z->in, PIECE);
	buf_init(&z->dictionary, DICTIONARY_MAX);
	s->z = z;
	return true;
}

static z_stream *
packer_free(z_stream *p)
{
	if (p)
		(void)deflateEnd(p); /* Z_DATA_ERROR: there was output that nobody wants */
	free(p);
	return NULL;
}

static z_stream *
unpacker_free(z_stream *p)
{
	if (p)
		(void)inflateEnd(p);
	free(p);
	return NULL;
}

void
stream_deflate_close(struct stream *s)
{
	struct stream_deflate *z = s->z;
	packer_free(z->packer);
	unpacker_free(z->unpacker);
	buf_done(&z->out);
	buf_wipe(&z->in);
	buf_done(&z->in);
	buf_wipe(&z->dictionary);
	buf_done(&z->dictionary);
	free(z);
	s->z = NULL;
}

/* --- out ------------------------------------------------------------------------ */

static z_stream *
packer_new(void)
{
	z_stream *p = calloc(1, sizeof(*p));
	if (p && deflateInit2(p, LEVEL_OUT, Z_DEFLATED, WINDOW_OUT, MEMORY_OUT,
		     Z_DEFAULT_STRATEGY) != Z_OK) {
		free(p);
		return NULL;
	}
	return p;
}

/* One call takes all: there is room for it. */
static bool
pack(struct stream_deflate *z, struct str octets)
{
	if (!z->packer)
		z->packer = packer_new();
	size_t most = z->packer ? deflateBound(z->packer, octets.len) + 64 : 0;
	if (!z->packer || !buf_reserve(&z->out, most))
		return false;
	z_stream *p = z->packer;
	p->next_in = (Bytef *)(uintptr_t)octets.p;
	p->avail_in = (uInt)octets.len;
	p->next_out = (Bytef *)z->out.p + z->out.len;
	p->avail_out = (uInt)most;
	int rc = deflate(p, Z_SYNC_FLUSH);
	z->out.len += most - p->avail_out;
	return rc == Z_OK && p->avail_in == 0 && p->avail_out > 0;
}

struct str
stream_deflate_pack(struct stream *s)
{
	struct stream_deflate *z = s->z;
	struct str octets = str_skip(buf_str(&s->out), s->out_off);
	if (z->out.len == 0 && octets.len > 0 && !s->out.failed) {
		z->rests = 0;
		bool ok = pack(z, octets);
		buf_done(&s->out);
		s->out_off = 0;
		s->out.failed = !ok;
	}
	return str_skip(buf_str(&z->out), z->out_off);
}

void
stream_deflate_sent(struct stream *s, size_t n)
{
	struct stream_deflate *z = s->z;
	z->out_off += n;
	if (z->out_off < z->out.len)
		return;
	buf_done(&z->out);
	z->out_off = 0;
}

size_t
stream_deflate_unsent(const struct stream *s)
{
	return s->z->out.len - s->z->out_off;
}

/* --- in ------------------------------------------------------------------------- */

static z_stream *
unpacker_new(struct stream_deflate *z)
{
	z_stream *p = calloc(1, sizeof(*p));
	if (p && inflateInit2(p, WINDOW_IN) != Z_OK) {
		free(p);
		return NULL;
	}
	if (p && z->dictionary.len > 0 &&
	    inflateSetDictionary(p, (const Bytef *)z->dictionary.p, (uInt)z->dictionary.len) !=
		Z_OK)
		return unpacker_free(p);
	buf_wipe(&z->dictionary);
	buf_done(&z->dictionary);
	return p;
}

bool
stream_deflate_waits(const struct stream *s)
{
	return s->z->in.len > 0 || s->z->more || s->z->ended;
}

/* As much as s->in has room for. What is left of raw stays in *raw. 0 or -errno. */
static int
unpack(struct stream *s, struct str *raw)
{
	UNINITIALIZED char piece[PIECE];
	struct stream_deflate *z = s->z;
	z_stream *p = z->unpacker;
	p->next_in = (Bytef *)(uintptr_t)raw->p;
	p->avail_in = (uInt)raw->len;
	int rc = Z_OK;
	size_t room, got;
	do {
		room = MIN(stream_room(s), sizeof(piece));
		if (room == 0)
			break;
		p->next_out = (Bytef *)piece;
		p->avail_out = (uInt)room;
		rc = inflate(p, Z_SYNC_FLUSH);
		got = room - p->avail_out;
		buf_put(&s->in, piece, got);
		explicit_bzero(piece, got); /* there may be a password in it */
	} while (rc == Z_OK && got == room);
	z->more = room == 0 || (rc == Z_OK && got == room);
	z->ended = rc == Z_STREAM_END;
	*raw = str_skip(*raw, raw->len - p->avail_in);
	return rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR ? 0 : -EIO;
}

/* What is left waits for room; it is less than a piece. */
static void
keep(struct stream_deflate *z, struct str left)
{
	struct buf all = BUF_INIT(PIECE);
	buf_puts(&all, left);
	buf_done(&z->in);
	z->in = all;
}

ssize_t
stream_deflate_fill(struct stream *s)
{
	UNINITIALIZED char chunk[PIECE];
	struct stream_deflate *z = s->z;
	struct str raw = buf_str(&z->in);
	size_t before = s->in.len;
	z->rests = 0;
	if (z->ended)
		return 0;
	if (raw.len == 0 && !z->more) {
		ssize_t n = stream_recv(s, chunk, sizeof(chunk));
		if (n <= 0)
			return n;
		raw = str_n(chunk, (size_t)n);
	}
	if (!z->unpacker)
		z->unpacker = unpacker_new(z);
	int rc = z->unpacker ? unpack(s, &raw) : -ENOMEM;
	if (rc == 0)
		keep(z, raw);
	if (rc < 0 || z->in.failed)
		return rc < 0 ? rc : -ENOMEM;
	return s->in.len > before ? (ssize_t)(s->in.len - before) : -EAGAIN;
}

/* --- rest ----------------------------------------------------------------------- */

/* Between two blocks at the end of an octet, as after every flush of the peer. */
static bool
is_aligned(const struct stream_deflate *z)
{
	int t = z->unpacker->data_type;
	return z->in.len == 0 && !z->more && !z->ended && (t & 128) && (t & 127) == 0;
}

static void
unpacker_rest(struct stream_deflate *z)
{
	UNINITIALIZED unsigned char window[DICTIONARY_MAX];
	uInt n = 0;
	if (inflateGetDictionary(z->unpacker, window, &n) != Z_OK)
		return;
	buf_put(&z->dictionary, window, n);
	explicit_bzero(window, n);
	if (z->dictionary.failed) {
		buf_done(&z->dictionary);
		return;
	}
	z->unpacker = unpacker_free(z->unpacker);
}

void
stream_rest(struct stream *s)
{
	struct stream_deflate *z = s->z;
	if (!z || s->failed || ++z->rests < RESTS)
		return;
	if (z->packer && stream_unsent(s) == 0)
		z->packer = packer_free(z->packer);
	if (z->unpacker && is_aligned(z))
		unpacker_rest(z);
}
