#include "play/case.h"

#include "sys/clock.h"

#include <string.h>

void
case_run(const struct conv *c, const struct case_options *o, struct case_result *ret)
{
	int64_t start = sys_mono_ms();

	*ret = (struct case_result){ .log = BUF_INIT(CASE_LOG_MAX) };
	play_report_init(&ret->play);
	if (!o->host && !case_own)
		play_report_fail(&ret->play, PLAY_IMPOSSIBLE, STR("a server"),
		    "this program was built without one; name a server: --to HOST:PORT");
	else if (c->listen > 999 && !o->host)
		play_report_fail(&ret->play, PLAY_IMPOSSIBLE, STR("a server"),
		    "@listen %llu is no port of a lab; those are below 1000",
		    (unsigned long long)c->listen);
	else if (!o->host)
		case_own(c, o, ret);
	else
		player_run(c,
		    &(struct player_options){ .host = o->host,
			.port = o->port,
			.timeout_ms = o->timeout_ms,
			.link = o->link,
			.vars = o->vars,
			.env = o->env,
			.live = o->live,
			.stop = o->stop },
		    &ret->play);
	ret->ms = sys_mono_ms() - start;
}

void
case_result_done(struct case_result *r)
{
	play_report_done(&r->play);
	buf_done(&r->log);
}
