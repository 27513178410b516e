#include "log/log.h"

#include "base/check.h"
#include "sys/clock.h"

#include <string.h>

#define EVENTS_MAX 16
#define EVERY_MS 60000

/* Events that were said a moment ago, and how often they came since. */
static struct often {
	const char *event; /* NULL: none */
	enum log_level level;
	int64_t said_ms;
	uint64_t more;
} often[EVENTS_MAX];

/* Its row or a free one; NULL: all are in use. */
static struct often *
row_of(const char *event)
{
	struct often *spare = NULL;
	for (size_t i = 0; i < EVENTS_MAX; i++) {
		if (!often[i].event)
			spare = &often[i];
		else if (strcmp(often[i].event, event) == 0)
			return &often[i];
	}
	return spare;
}

void
log_often(enum log_level level, uint64_t session, const char *event, const struct log_field *fields)
{
	struct often *o = row_of(event);
	if (o && o->event) {
		o->more++;
		return;
	}
	if (o)
		*o = (struct often){ event, level, sys_mono_ms(), 0 };
	log_event(level, session, event, fields);
}

void
log_often_tick(int64_t now_ms)
{
	for (struct often *o = often; o < often + EVENTS_MAX; o++) {
		if (!o->event || now_ms - o->said_ms < EVERY_MS)
			continue;
		if (o->more)
			LOG(o->level, 0, o->event, LOGN("more", o->more),
			    LOGN("seconds", (now_ms - o->said_ms) / 1000));
		*o = (struct often){ o->more ? o->event : NULL, o->level, now_ms, 0 };
	}
}
