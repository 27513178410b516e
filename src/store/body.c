/* Bodies under way and letters handed in: the caller's side of store_accept(). */
#include "store/store_priv.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "sys/file.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define LETTER_BYTES_MAX (64u << 20)
#define CHECK_STEP (64u << 10)

struct store_body *
store_body_new(struct store *s, uint64_t letter)
{
	struct store_body *b = xalloc(sizeof(*b));
	b->store = s;
	b->letter = letter;
	b->fd = -1;
	/* Without blob files the memory is all there is; an oracle of the tests can live with it.
	 */
	b->mem = BUF_INIT(s->engine->blob_new ? STORE_INLINE_MAX : SIZE_MAX / 2);
	return b;
}

static int
blob_write(struct store_body *b, struct str octets)
{
	int r = file_write_all(b->fd, octets);
	if (r == 0)
		b->crc = crc32c(b->crc, octets.p, octets.len);
	return r;
}

static void
forget_memory(struct store_body *b)
{
	b->store->bodies_memory -= b->mem.len;
	buf_done(&b->mem);
}

int
store_body_spill(struct store_body *b)
{
	if (b->rc < 0 || b->blob || !b->store->engine->blob_new)
		return b->rc;
	b->rc = b->store->engine->blob_new(b->store, &b->blob, &b->fd);
	if (b->rc == 0)
		b->rc = blob_write(b, buf_str(&b->mem));
	forget_memory(b);
	return b->rc;
}

int
store_body_write(struct store_body *b, struct str octets)
{
	if (b->rc < 0)
		return b->rc;
	if (__builtin_add_overflow(b->size, (uint64_t)octets.len, &b->size))
		return b->rc = -E2BIG;
	if (!b->blob && octets.len > b->mem.max - b->mem.len && store_body_spill(b) < 0)
		return b->rc;
	if (b->blob)
		return b->rc = blob_write(b, octets);
	buf_puts(&b->mem, octets);
	if (b->mem.failed)
		return b->rc = -ENOMEM;
	b->store->bodies_memory += octets.len;
	return 0;
}

uint64_t
store_body_size(const struct store_body *b)
{
	return b->size;
}

uint64_t
store_body_memory(const struct store_body *b)
{
	return b->mem.len;
}

struct str
store_body_octets(const struct store_body *b)
{
	return b->rc == 0 && b->mem.len == b->size ? buf_str(&b->mem) : STR_NULL;
}

struct store_body *
store_body_free(struct store_body *b)
{
	if (!b)
		return NULL;
	if (b->fd >= 0)
		close(b->fd);
	if (b->blob)
		b->store->engine->blob_drop(b->store, b->blob);
	forget_memory(b);
	free(b);
	return NULL;
}

/* --- letters --- */

struct str
letter_head(const struct letter *l)
{
	return str_n(l->buf.p, l->head_len);
}

struct str
letter_trace(const struct letter *l)
{
	return str_n(l->buf.p + l->head_len, l->trace_len);
}

struct str
letter_intent(const struct letter *l)
{
	return str_n(l->buf.p + l->head_len + l->trace_len, l->intent_len);
}

struct str
letter_views(const struct letter *l)
{
	return str_n(l->buf.p + l->head_len + l->trace_len + l->intent_len, l->views_len);
}

struct str
letter_outline(const struct letter *l)
{
	return str_n(l->buf.p + l->head_len + l->trace_len + l->intent_len, l->outline_len);
}

struct letter *
letter_free(struct letter *l)
{
	for (struct letter *next; l; l = next) {
		next = l->next;
		store_body_free(l->body);
		store_body_free(l->views);
		buf_done(&l->buf);
		if (l->append)
			buf_done(&l->append->marks);
		free(l->append);
		free(l);
	}
	return NULL;
}

bool
letter_fits(const struct store_letter *l)
{
	return l->trace.len <= RECORD_TEXT_MAX && l->from.len <= RECORD_TEXT_MAX &&
	       l->envid.len <= RECORD_TEXT_MAX && l->ret.len <= RECORD_TEXT_MAX &&
	       l->qid.len <= RECORD_TEXT_MAX && l->message_id.len <= RECORD_TEXT_MAX &&
	       l->peer.len <= RECORD_TEXT_MAX && l->onward.len <= RECORD_ONWARD_MAX &&
	       l->history.len <= RECORD_HISTORY_MAX;
}

static bool
entries_fit(const struct store_letter *l)
{
	if (l->n_entry > STORE_ENTRIES_MAX)
		return false;
	for (size_t i = 0; i < l->n_entry; i++)
		if (l->entry[i].value.len == 0 || l->entry[i].value.len > STORE_ENTRY_MAX ||
		    (i && l->entry[i].part <= l->entry[i - 1].part))
			return false;
	return true;
}

static bool
fits(const struct store_letter *l, const struct store_body *body)
{
	if (!letter_fits(l) || l->n_rcpt > RECORD_RCPTS_MAX || l->header_len > UINT32_MAX ||
	    l->header_len > body->size || !entries_fit(l))
		return false;
	for (size_t i = 0; i < l->n_rcpt; i++)
		if (l->rcpt[i].rcpt.len > RECORD_RCPT_MAX ||
		    l->rcpt[i].prefix.len > RECORD_PREFIX_MAX)
			return false;
	return true;
}

static struct letter *
letter_new(struct store_body *body, const struct store_letter *l)
{
	struct letter *n = xalloc(sizeof(*n));
	n->letter = l->letter;
	n->time_ms = l->time_ms;
	n->body = body;
	n->buf = BUF_INIT(LETTER_BYTES_MAX);
	buf_puts(&n->buf, l->trace);
	n->head_len = n->buf.len;
	trace_payload_put(&n->buf, l);
	n->trace_len = n->buf.len - n->head_len;
	intent_put(&n->buf, l);
	n->intent_len = n->buf.len - n->head_len - n->trace_len;
	if (l->outline.len <= STORE_OUTLINE_MAX &&
	    l->outline.len * l->n_rcpt <= STORE_OUTLINES_MAX) {
		n->outline_len = l->outline.len;
		buf_puts(&n->buf, l->outline);
	}
	return n;
}

void
store_accept(struct store *s, struct store_body *body, const struct store_letter *l, store_fn *fn,
    void *arg)
{
	struct request *r = request_new(REQ_ACCEPT, fn, arg);
	if (body->rc == 0 && fits(l, body)) {
		r->letter = letter_new(body, l);
		if (r->letter->buf.failed)
			r->res.rc = -E2BIG;
	} else {
		r->res.rc = body->rc < 0 ? body->rc : -E2BIG;
		store_body_free(body);
	}
	store_submit(s, r);
}

int
store_ref_check(struct store *s, const struct store_ref *ref)
{
	char *p = xalloc(CHECK_STEP);
	uint32_t crc = 0;
	int r = 0;
	for (uint64_t off = 0; r == 0 && off < ref->len;) {
		ssize_t got = store_read(s, ref, off, p, CHECK_STEP);
		if (got <= 0)
			r = got < 0 ? (int)got : -EBADMSG;
		else
			crc = crc32c(crc, p, (size_t)got), off += (uint64_t)got;
	}
	free(p);
	return r < 0 ? r : crc == ref->crc ? 0 : -EBADMSG;
}
