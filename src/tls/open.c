/*
 * Open signatures: who waits for which answer. A slot stays taken until the answer comes, even
 * when nobody waits for it any more, so that strangers who hang up cannot pile up questions.
 */
#include "base/check.h"
#include "tls/tls_priv.h"

#include <openssl/async.h>
#include <openssl/err.h>

struct slot {
	uint32_t id;   /* 0: free; low bits: its place, high bits: how often it was used */
	uint16_t next; /* of the free ones */
	struct tls *t; /* NULL: nobody waits any more */
};
static struct slot slots[TLS_OPEN_SIGNS_MAX + 1]; /* 0 is the head of the free ones */
static uint32_t uses;
static uint16_t fresh = 1;     /* slots from here on were never used */
static unsigned waiting, most; /* jobs that are paused; since the last trim */

#define PLACE_BITS 13
#define KEEP 64 /* stacks of 32 KiB that may stay */
_Static_assert((1u << PLACE_BITS) > TLS_OPEN_SIGNS_MAX, "a place fits into an id");

static struct slot *
slot_take(struct tls *t)
{
	uint16_t place = slots[0].next;

	if (place)
		slots[0].next = slots[place].next;
	else if (fresh <= TLS_OPEN_SIGNS_MAX)
		place = fresh++;
	else
		return NULL;
	slots[place].id = uses++ << PLACE_BITS | place;
	slots[place].t = t;
	return &slots[place];
}

static struct slot *
slot_find(uint32_t id)
{
	uint32_t place = id & ((1u << PLACE_BITS) - 1);

	return place > 0 && place <= TLS_OPEN_SIGNS_MAX && slots[place].id == id ? &slots[place]
	                                                                         : NULL;
}

static void
slot_release(struct slot *s)
{
	s->id = 0;
	s->t = NULL;
	s->next = slots[0].next;
	slots[0].next = (uint16_t)(s - slots);
}

TLS_ON_JOB size_t
tls_open_sign(const unsigned char key[TLS_KEY_NAME], enum tls_sign_alg alg, struct str tbs,
    unsigned char out[TLS_SIGNATURE_MAX])
{
	struct tls_wait w = { 0 };
	struct tls *t = tls_current;

	if (!t || !t->sign || t->wait || !ASYNC_get_current_job())
		return 0;
	struct slot *s = slot_take(t);
	if (!s)
		return 0;
	w.id = s->id;
	t->wait = &w;
	if (!t->sign(t->sign_arg, w.id, key, alg, tbs) && !w.answered) {
		slot_release(s);
		w.answered = true;
	}
	w.paused = true;
	most = MAX(most, ++waiting);
	while (!w.answered && ASYNC_pause_job() == 1)
		;
	waiting--;
	if (!w.answered)
		s->t = NULL;
	t->wait = NULL;
	t->asked = true;
	memcpy(out, w.sig, w.len);
	return w.len;
}

void
tls_open_abandon(struct tls *t)
{
	struct slot *s = slot_find(t->wait->id);

	if (s)
		s->t = NULL;
	t->wait->answered = true;
	t->wait->len = 0;
	tls_current = t;
	for (int i = 0; i < 3 && t->wait; i++)
		SSL_do_handshake(t->ssl);
	tls_current = NULL;
	ERR_clear_error();
	check(!t->wait);
}

void
tls_open_trim(void)
{
	if (waiting > 0 || most <= KEEP)
		return;
	most = 0;
	ASYNC_cleanup_thread();
	check(ASYNC_init_thread(TLS_OPEN_SIGNS_MAX, 0) == 1);
}

/* The connection that waits for it, which the loop may go on with, or NULL. */
static struct tls *
answer(struct slot *s, struct str sig)
{
	struct tls *t = s->t;

	slot_release(s);
	if (!t)
		return NULL;
	struct tls_wait *w = t->wait;
	w->len = sig.len <= sizeof(w->sig) ? sig.len : 0;
	if (w->len)
		memcpy(w->sig, sig.p, w->len);
	w->answered = true;
	return w->paused ? t : NULL;
}

void *
tls_signed(uint32_t id, struct str sig)
{
	struct slot *s = slot_find(id);
	struct tls *t = s ? answer(s, sig) : NULL;

	return t ? t->owner : NULL;
}

void
tls_signer_gone(void (*fn)(void *owner))
{
	for (uint32_t i = 1; i < fresh; i++) {
		struct tls *t = slots[i].id ? answer(&slots[i], STR_NULL) : NULL;
		if (t && t->owner)
			fn(t->owner);
	}
}
