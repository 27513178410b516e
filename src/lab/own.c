#include "lab/own.h"

#include "lab/fault.h"
#include "lab/labserver.h"
#include "lab/verify.h"

#include <string.h>

#define START_MS 60000

static void
look_after(const struct labserver *l, struct play_report *r)
{
	struct buf why = BUF_INIT(8192);
	uint64_t restarts = 0;

	if (!labserver_restarts(l, &restarts, &why))
		play_report_fail(r, PLAY_FAILED, STR("a server that is well afterwards"), "%s",
		    buf_cstr(&why) ? why.p : "");
	else if (restarts > 0)
		play_report_fail(r, PLAY_FAILED, STR("a server that is well afterwards"),
		    "%llu of its processes died on the way", (unsigned long long)restarts);
	buf_done(&why);
}

void
lab_play_own(const struct conv *c, const struct case_options *o, struct case_result *ret)
{
	struct labserver_options lo = { .keep = o->keep, .timeout_ms = START_MS, .stop = o->stop };
	struct labserver lab;
	struct buf why = BUF_INIT(8192);

	if (labserver_start(&lab, c, &lo, &why)) {
		struct verify v = { .dir = lab.dir, .timeout_ms = MAX(o->timeout_ms, 10000) };
		player_run(c,
		    &(struct player_options){ .host = "127.0.0.1",
			.port = (uint16_t)(lab.base + c->listen),
			.timeout_ms = o->timeout_ms,
			.link = o->link,
			.vars = o->vars,
			.env = o->env,
			.live = o->live,
			.stop = o->stop,
			.verify = verify_step,
			.fault = fault_set,
			.arg = &v },
		    &ret->play);
		if (ret->play.result == PLAY_PASSED)
			look_after(&lab, &ret->play);
	} else {
		play_report_fail(&ret->play, PLAY_IMPOSSIBLE, STR("a server"), "%s",
		    buf_cstr(&why) ? why.p : "");
	}
	buf_reset(&why);
	if (!labserver_stop(&lab, &why) && ret->play.result == PLAY_PASSED)
		play_report_fail(&ret->play, PLAY_FAILED, STR("a clean end of the server"), "%s",
		    buf_cstr(&why) ? why.p : "");
	if (ret->play.result != PLAY_PASSED)
		labserver_log(&lab, &ret->log);
	if (o->keep)
		str_copy(ret->dir, sizeof(ret->dir), str_of(lab.dir));
	labserver_done(&lab);
	buf_done(&why);
}
