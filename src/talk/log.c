#include "talk/log.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

struct log_entry {
	struct event e; /* its views are of what stands behind it */
	size_t len;
	char memory[];
};

static struct str
copy(struct log_entry *x, struct str s)
{
	if (s.p == NULL)
		return STR_NULL;
	char *to = x->memory + x->len;
	memcpy(to, s.p, s.len);
	x->len += s.len;
	return str_n(to, s.len);
}

static void
forget(struct log *l, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		l->octets -= l->v[i]->len;
		free(l->v[i]);
	}
	memmove(l->v, l->v + n, (l->n - n) * sizeof(struct log_entry *));
	l->n -= n;
	l->cut = true;
}

void
log_keep(void *arg, const struct event *e)
{
	struct log *l = arg;
	struct str octets = e->masked.p ? STR_NULL : e->octets;
	size_t need = octets.len + e->masked.len + e->text.len + e->enhanced.len;
	if (need > LOG_OCTETS_MAX / 4)
		return;
	while (l->n > 0 && (l->n >= LOG_EVENTS_MAX || l->octets + need > LOG_OCTETS_MAX))
		forget(l, (l->n + 1) / 2);
	struct log_entry *x = xalloc(sizeof *x + need);
	x->e = *e;
	x->e.octets = copy(x, octets);
	x->e.masked = copy(x, e->masked);
	x->e.text = copy(x, e->text);
	x->e.enhanced = copy(x, e->enhanced);
	if ((l->n & (l->n + 1)) == 0)
		l->v = xrealloc(l->v, (2 * l->n + 2) * sizeof(struct log_entry *));
	l->v[l->n++] = x;
	l->octets += x->len;
}

void
log_done(struct log *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct log){ 0 };
}

void
log_replay(const struct log *l, event_fn *fn, void *arg)
{
	for (size_t i = 0; i < l->n; i++)
		fn(arg, &l->v[i]->e);
}

bool
log_reply(const struct log *l, size_t n, struct buf *ret)
{
	for (size_t i = l->n; i-- > 0;) {
		const struct event *e = &l->v[i]->e;
		if (e->kind != EVENT_REPLY || --n > 0)
			continue;
		if (e->code)
			buf_putf(ret, "%d ", e->code);
		buf_puts(ret, e->text);
		return true;
	}
	return false;
}
