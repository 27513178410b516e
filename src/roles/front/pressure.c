/*
 * pressure: what changes while there is too much to do. In this order: a letter's octets are read
 * no faster than the log takes them (letter_must_wait); idle connections are given up early, so
 * that others find a place; strangers are turned away (guest_judge); MAIL is answered 452.
 */
#include "roles/front/front_priv.h"

#define BUSY_PERCENT 80
#define CALM_PERCENT 70
#define HURRY 10          /* so many times shorter are time-outs ... */
#define HURRY_SECONDS 10u /* ... but not shorter than this */

static uint64_t
percent_of(uint64_t limit, unsigned percent)
{
	return limit / 100 * percent + limit % 100 * percent / 100;
}

static uint64_t
shortened(uint64_t seconds, bool busy)
{
	return busy ? MIN(seconds, MAX(seconds / HURRY, (uint64_t)HURRY_SECONDS)) : seconds;
}

/* Who reads mail by IMAP and has logged in may be silent for as long as ever: that is IDLE. */
static void
hurry_listener(struct settings *s, size_t i, bool busy)
{
	const struct conf_listener *l = &s->conf->listeners[i];
	s->smtp[i].idle_seconds = shortened(l->limit_idle_seconds, busy);
	s->imap[i].login_seconds = shortened(l->limit_idle_seconds, busy);
	s->pop3[i].idle_seconds = shortened(conf_idle_seconds(l), busy);
}

static void
hurry(struct front *f, bool busy)
{
	list_each(n, &f->generations)
	{
		struct settings *s = list_entry(n, struct settings, node);
		for (size_t i = 0; i < s->n; i++)
			hurry_listener(s, i, busy);
	}
}

void
pressure_sweep(struct front *f)
{
	uint64_t limit = f->settings->conf->limit_conns_total;
	if (!f->tally.own)
		return;
	uint64_t n = tally_total(&f->tally);
	bool busy = limit != CONF_OFF &&
	            n >= MAX(percent_of(limit, f->busy ? CALM_PERCENT : BUSY_PERCENT), (uint64_t)1);
	if (busy != f->busy)
		LOG(LOG_WARN, 0, busy ? "busy" : "calm", LOGN("connections", n));
	/* Also when nothing changed: a reload brings new settings. */
	if (busy || f->busy)
		hurry(f, busy);
	f->busy = busy;
	tally_octets_set(&f->tally, f->octets);
}

bool
pressure_memory(const struct front *f)
{
	uint64_t limit = f->settings->conf->limit_mem_high;
	return limit != CONF_OFF && tally_octets(&f->tally) >= limit;
}
