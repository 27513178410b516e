/* COMPRESS=DEFLATE (RFC 4978): raw deflate in both directions, inside TLS where there is TLS. */
#include "client/link_priv.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define RAW_MAX (64u << 10) /* octets of one read */
#define PIECE (16u << 10)

struct link_deflate {
	z_stream in, out;
	struct buf raw;  /* what came, deflated, and had no room inflated */
	struct buf sent; /* what goes, deflated */
	bool more;       /* the inflater holds octets back */
};

bool
link_deflate(struct link *l)
{
	struct link_deflate *z = calloc(1, sizeof(*z));

	if (l->z || !z || inflateInit2(&z->in, -15) != Z_OK) {
		free(z);
		link_fail(l, 0, "no memory for compression");
		return false;
	}
	if (deflateInit2(&z->out, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
		(void)inflateEnd(&z->in);
		free(z);
		link_fail(l, 0, "no memory for compression");
		return false;
	}
	buf_init(&z->raw, RAW_MAX + LINK_IN_MAX);
	buf_init(&z->sent, SIZE_MAX / 2);
	l->z = z;
	/* What came behind the server's OK is compressed already. */
	buf_puts(&z->raw, str_skip(buf_str(&l->in), l->start));
	l->in.len = l->start;
	l->scanned = 0;
	return true;
}

void
link_deflate_close(struct link *l)
{
	struct link_deflate *z = l->z;

	if (!z)
		return;
	(void)inflateEnd(&z->in);
	(void)deflateEnd(&z->out);
	buf_wipe(&z->raw);
	buf_done(&z->raw);
	buf_wipe(&z->sent);
	buf_done(&z->sent);
	free(z);
	l->z = NULL;
}

bool
link_deflate_waits(const struct link *l)
{
	return l->z && (l->z->raw.len > 0 || l->z->more);
}

/* As much as there is room for. False: it is no deflated text. */
static bool
inflate_some(struct link *l)
{
	struct link_deflate *z = l->z;
	int rc = Z_OK;

	z->in.next_in = (Bytef *)z->raw.p;
	z->in.avail_in = (uInt)z->raw.len;
	z->more = true;
	while (rc == Z_OK && z->more && link_unread(l) < LINK_IN_MAX) {
		char piece[PIECE];
		size_t room = MIN(sizeof(piece), LINK_IN_MAX - link_unread(l));
		z->in.next_out = (Bytef *)piece;
		z->in.avail_out = (uInt)room;
		rc = inflate(&z->in, Z_SYNC_FLUSH);
		buf_put(&l->in, piece, room - z->in.avail_out);
		z->more = z->in.avail_out == 0;
	}
	buf_drop(&z->raw, z->raw.len - z->in.avail_in);
	if (rc == Z_STREAM_END)
		buf_reset(&z->raw);
	return (rc == Z_OK || rc == Z_BUF_ERROR || rc == Z_STREAM_END) && !l->in.failed;
}

enum link_status
link_deflate_take_in(struct link *l, size_t from)
{
	struct link_deflate *z = l->z;
	size_t before = from;

	buf_put(&z->raw, l->in.p + from, l->in.len - from);
	buf_trunc(&l->in, from);
	if (l->start > 0) { /* room for what will come out */
		buf_drop(&l->in, l->start);
		before -= l->start;
		l->start = 0;
	}
	if (z->raw.failed || !inflate_some(l)) {
		l->at_end = true;
		l->end = LINK_FAILED;
		link_fail(l, 0,
		    "what the server sends is not compressed as it promised (RFC 4978)");
		return LINK_FAILED;
	}
	return l->in.len > before ? LINK_OK : LINK_AGAIN;
}

bool
link_deflate_pack(struct link *l, struct str *octets)
{
	struct link_deflate *z = l->z;
	char piece[PIECE];

	buf_reset(&z->sent);
	while (octets->len) {
		struct str some = str_first(*octets, 1u << 20);
		bool last = some.len == octets->len;
		z->out.next_in = (Bytef *)(uintptr_t)some.p;
		z->out.avail_in = (uInt)some.len;
		do {
			z->out.next_out = (Bytef *)piece;
			z->out.avail_out = sizeof(piece);
			if (deflate(&z->out, last ? Z_SYNC_FLUSH : Z_NO_FLUSH) == Z_STREAM_ERROR)
				return false;
			buf_put(&z->sent, piece, sizeof(piece) - z->out.avail_out);
		} while (z->out.avail_out == 0);
		*octets = str_skip(*octets, some.len);
	}
	*octets = buf_str(&z->sent);
	return !z->sent.failed;
}
