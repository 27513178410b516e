/* What is asked of all entries or destinations, and changes of many at once. */
#include "queue/sched_priv.h"

#include "base/check.h"

#include <stdlib.h>

bool
sched_each(struct sched *s, uint32_t *pos, struct sched_entry **ret)
{
	while (++*pos < s->entries.n) {
		struct sched_entry *e = entry_at(s, *pos);
		if (e->self == *pos) {
			*ret = e;
			return true;
		}
	}
	--*pos;
	return false;
}

bool
sched_fits(struct str pattern, struct str domain)
{
	if (pattern.len == 0 || str_eq(pattern, STR("*")))
		return true;
	if (str_starts(pattern, STR("*."))) {
		struct str tail = str_skip(pattern, 1);
		return domain.len > tail.len && str_iends(domain, tail);
	}
	if (pattern.p[0] != '@')
		return str_ieq(pattern, domain);
	struct str tail = str_skip(pattern, 1);
	return str_iends(domain, tail) &&
	       (domain.len == tail.len || domain.p[domain.len - tail.len - 1] == '.');
}

void
sched_some_begin(struct sched *s, struct sched_some *w)
{
	*w = (struct sched_some){ .fits = xalloc(s->domains.n * sizeof(*w->fits)) };
}

static void
some_add(struct sched *s, struct sched_some *w, uint32_t domain)
{
	if (domain && !w->fits[domain])
		w->left += domain_at(s, domain)->n;
	w->fits[domain] |= domain != 0;
}

void
sched_some_add(struct sched *s, struct sched_some *w, struct str domain)
{
	char name[256];
	for (size_t i = 0; i < domain.len && i < sizeof(name); i++) {
		char c = domain.p[i];
		name[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
	}
	if (domain.len <= sizeof(name))
		some_add(s, w, sched_name_find(s, str_n(name, domain.len)));
}

static void
some_that_fit(struct sched *s, struct sched_some *w, struct str pattern)
{
	if (pattern.len > 0 && pattern.p[0] != '*' && pattern.p[0] != '@') {
		sched_some_add(s, w, pattern);
		return;
	}
	for (uint32_t i = 1; i < s->domains.n; i++)
		if (domain_at(s, i)->name && sched_fits(pattern, domain_name(domain_at(s, i))))
			some_add(s, w, i);
}

bool
sched_some_next(struct sched *s, struct sched_some *w, struct sched_entry **ret)
{
	while (w->left && sched_each(s, &w->pos, ret))
		if (w->fits[(*ret)->domain]) {
			w->left--;
			return true;
		}
	return false;
}

void
sched_some_end(struct sched_some *w)
{
	free(w->fits);
}

uint32_t
sched_flush(struct sched *s, struct str pattern, uint64_t now)
{
	uint32_t n = 0;
	struct sched_entry *e;
	struct sched_some some;
	sched_some_begin(s, &some);
	some_that_fit(s, &some, pattern);
	while (sched_some_next(s, &some, &e)) {
		if (e->later)
			continue;
		n += e->state == SCHED_ACTIVE || e->state == SCHED_BUSY;
		if (e->state != SCHED_WAITS && e->state != SCHED_READY)
			continue;
		n++;
		struct sched_dest *d = dest_at(s, e->dest);
		if (d->backoff_ms)
			dest_wake(s, d);
		if (e->state == SCHED_WAITS) {
			sched_busy(s, e);
			e->due_ms = now;
			sched_back(s, e, now);
		}
	}
	sched_some_end(&some);
	return n;
}

/* First the domains, then every entry that is in nobody's hands follows its own. */
void
sched_retarget(struct sched *s, uint64_t now)
{
	uint32_t pos = 0;
	struct sched_entry *e;
	/* A domain may be forgotten meanwhile, and its number is empty then. */
	for (uint32_t i = 1; i < s->domains.n; i++) {
		if (!domain_at(s, i)->name)
			continue;
		domain_aim(s, i);
		const struct sched_domain *m = domain_at(s, i);
		if (m->n == 0 && dest_at(s, m->dest)->domain != i)
			domain_free(s, i);
	}
	while (sched_each(s, &pos, &e)) {
		if (e->state == SCHED_ACTIVE || e->state == SCHED_BUSY ||
		    e->dest == domain_at(s, e->domain)->dest)
			continue;
		sched_busy(s, e);
		sched_back(s, e, now);
	}
}

/* --- views --- */

static void
view(struct sched *s, const struct sched_dest *d, struct sched_dest_view *ret)
{
	struct str target = str_of(d->target);
	*ret = (struct sched_dest_view){ .target = str_first(target, d->target_len),
		.route = str_skip(target, d->target_len + 1u),
		.holds = d->kind == SCHED_HOLDS,
		.entries = d->n,
		.ready = d->n_ready,
		.waiting = d->n_waiting,
		.active = d->n_active,
		.held = d->n_held,
		.window = dest_window(s, d),
		.backoff_until_ms = d->backoff_ms,
		.sent = d->sent,
		.later = d->later,
		.refused = d->refused,
		.oldest_ms = d->oldest_ms,
		.trouble = d->trouble,
		.text = str_of(d->text) };
	if (d->domain)
		ret->domain = domain_name(domain_at(s, d->domain));
}

void
sched_dest_of(struct sched *s, const struct sched_entry *e, struct sched_dest_view *ret)
{
	view(s, dest_at(s, e->dest), ret);
}

struct str
sched_domain_of(struct sched *s, const struct sched_entry *e)
{
	return domain_name(domain_at(s, e->domain));
}

uint32_t
sched_window_of(struct sched *s, const struct sched_entry *e)
{
	return dest_window(s, dest_at(s, e->dest));
}

bool
sched_dest_each(struct sched *s, uint32_t *pos, struct sched_dest_view *ret)
{
	while (++*pos < s->dests.n) {
		const struct sched_dest *d = dest_at(s, *pos);
		if (d->self == *pos && d->window) {
			view(s, d, ret);
			return true;
		}
	}
	--*pos;
	return false;
}

void
sched_survey(struct sched *s)
{
	uint32_t pos = 0;
	struct sched_entry *e;
	for (uint32_t i = 1; i < s->dests.n; i++) {
		struct sched_dest *d = dest_at(s, i);
		if (d->self == i && d->window)
			d->n_waiting = 0, d->oldest_ms = 0;
	}
	while (sched_each(s, &pos, &e)) {
		struct sched_dest *d = dest_at(s, e->dest);
		d->n_waiting += e->state == SCHED_WAITS;
		if (d->oldest_ms == 0 || e->created_ms < d->oldest_ms)
			d->oldest_ms = e->created_ms;
	}
}

void
sched_totals(struct sched *s, struct sched_totals *ret)
{
	*ret = (struct sched_totals){ .entries = s->entries.used,
		.octets = s->octets,
		.destinations = s->dests.used,
		.domains = s->domains.used,
		.places = s->places };
	memcpy(ret->in_state, s->in_state, sizeof(ret->in_state));
	ret->memory = sizeof(*s) + s->text_memory + slab_memory(&s->entries) +
	              slab_memory(&s->domains) + slab_memory(&s->dests) +
	              ((uint64_t)s->by_letter.cap + s->by_name.cap + s->due.cap + s->backoff.cap) *
	                  sizeof(uint32_t);
}
