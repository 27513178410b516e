#include "roles/relay/patience.h"

#define REPLY_S 300   /* RFC 5321 4.5.3.2.1 to .3 */
#define DATA_S 120    /* .4 */
#define BLOCK_S 180   /* .5 */
#define VERDICT_S 600 /* .6 */
#define OPENING 6     /* replies: greeting, EHLO, STARTTLS, EHLO, AUTH and what follows */
#define RATE 1024u    /* octets a second */

static enum patience_phase
phase_of(const struct patience *p, enum smtp_client_step step, bool octets)
{
	if (step <= SMTP_STEP_AUTH)
		return PATIENCE_OPENING;
	if (step == SMTP_STEP_DOT)
		return PATIENCE_VERDICT;
	/* The answers to chunks come between the octets. */
	bool chunk = step == SMTP_STEP_DATA && p->begun && p->phase == PATIENCE_OCTETS;
	return octets || chunk ? PATIENCE_OCTETS : PATIENCE_ENVELOPE;
}

static int64_t
ms_of(const struct patience_facts *f, uint64_t seconds)
{
	return (int64_t)(f->reply_seconds ? f->reply_seconds : seconds) * 1000;
}

/* For everybody but the first recipient. */
static int64_t
more_ms(const struct patience_facts *f)
{
	return f->n_rcpts > 1 ? (int64_t)(f->n_rcpts - 1) * ms_of(f, REPLY_S) / 10 : 0;
}

static int64_t
total_ms(const struct patience_facts *f, enum patience_phase phase)
{
	switch (phase) {
	case PATIENCE_OPENING:
		return OPENING * ms_of(f, REPLY_S);
	case PATIENCE_ENVELOPE:
		return 2 * ms_of(f, REPLY_S) + ms_of(f, DATA_S) + more_ms(f);
	case PATIENCE_OCTETS:
		return ms_of(f, BLOCK_S) + (int64_t)(f->size / RATE) * 1000;
	case PATIENCE_VERDICT:
		break;
	}
	return ms_of(f, VERDICT_S) + (f->lmtp ? more_ms(f) : 0);
}

int64_t
patience_wait(struct patience *p, const struct patience_facts *f, enum smtp_client_step step,
    bool octets, unsigned silence, int64_t now)
{
	enum patience_phase phase = phase_of(p, step, octets);
	if (!p->begun || p->phase != phase)
		*p = (struct patience){ true, phase, now + total_ms(f, phase) };
	return MAX(MIN(ms_of(f, silence), p->until - now), 1);
}
