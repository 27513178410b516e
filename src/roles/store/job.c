#include "log/log.h"
#include "roles/store/reader_priv.h"
#include "sys/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define AWAY_MS 5000  /* how long a job waits for a writer that is not there */
#define SYNC_MS 30000 /* ... and for the answer of one that is */
#define STEPS_A_TURN 64
#define TURN_MS 20 /* a step may take longer, but is the last of its turn then */

static void
job_free(struct job *j)
{
	if (j->kind->done)
		j->kind->done(j);
	list_del(&j->node);
	loop_timer_free(j->timer);
	for (size_t i = 0; i < j->n_args; i++)
		free(j->arg[i]);
	free(j);
}

enum job_step
reader_job_end(struct job *j, enum ctl_code code, const char *fmt, ...)
{
	char text[2048];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	desk_done(j->ask, code, "%s", text);
	job_free(j);
	return JOB_OVER;
}

static void
ask_writer(struct job *j)
{
	struct reader *r = j->reader;
	j->sync = ++r->last_sync;
	chan_send(r->writer, IPC_SYNC, j->sync, STR_NULL, -1);
	loop_timer_set(j->timer, SYNC_MS, 0);
}

static void
go_on(void *arg)
{
	struct job *j = arg;
	int64_t until = sys_mono_ms() + TURN_MS;
	for (int i = 0; i < STEPS_A_TURN && sys_mono_ms() < until; i++) {
		if (desk_gone(j->ask)) {
			reader_job_end(j, CTL_FAILED, "nobody waits for the answer");
			return;
		}
		if (!j->reader->store) {
			reader_job_end(j, CTL_FAILED,
			    "the store could not be opened again; the log says why");
			return;
		}
		if (desk_full(j->ask)) {
			desk_on_room(j->ask, go_on, j);
			return;
		}
		if (j->kind->step(j) == JOB_OVER)
			return;
	}
	loop_timer_set(j->timer, 0, 0); /* others first */
}

static void
on_timer(void *arg)
{
	struct job *j = arg;
	if (!j->waits)
		go_on(j);
	else
		reader_job_end(j, CTL_FAILED,
		    "the store's writer does not answer; see `pennypost status` and the log, then "
		    "try again");
}

void
reader_job_new(struct reader *r, struct desk_ask *a, const struct msg_ask *m,
    const struct job_kind *kind)
{
	struct job *j = xalloc(sizeof(*j));
	*j = (struct job){ .reader = r, .ask = a, .kind = kind };
	check(m->n <= JOB_ARGS_MAX);
	for (j->n_args = 0; j->n_args < m->n; j->n_args++)
		j->arg[j->n_args] = str_dup(m->arg[j->n_args]);
	j->timer = loop_timer_new(r->role.loop, on_timer, j);
	j->waits = true;
	list_add_tail(&r->jobs, &j->node);
	if (r->writer)
		ask_writer(j);
	else
		loop_timer_set(j->timer, AWAY_MS, 0);
}

void
reader_jobs_ask_writer(struct reader *r)
{
	list_each(n, &r->jobs)
	{
		struct job *j = list_entry(n, struct job, node);
		if (j->waits)
			ask_writer(j);
	}
}

void
reader_jobs_writer_away(struct reader *r)
{
	list_each(n, &r->jobs)
	{
		struct job *j = list_entry(n, struct job, node);
		if (!j->waits)
			continue;
		j->sync = 0;
		loop_timer_set(j->timer, AWAY_MS, 0);
	}
}

static void
begin(struct job *j)
{
	struct buf err = BUF_INIT(4096);
	j->waits = false;
	loop_timer_stop(j->timer);
	if (reader_open_store(j->reader, &err)) {
		if (j->kind->begin(j) == JOB_MORE)
			go_on(j);
	} else {
		struct str why = str_trim(buf_str(&err));
		LOG(LOG_ERROR, 0, "store-not-opened", LOGF("error", why));
		reader_job_end(j, CTL_FAILED, STR_FMT, STR_ARG(why));
	}
	buf_done(&err);
}

void
reader_jobs_synced(struct reader *r, uint64_t id)
{
	list_each(n, &r->jobs)
	{
		struct job *j = list_entry(n, struct job, node);
		if (!j->waits || j->sync != id)
			continue;
		begin(j);
		return;
	}
}

void
reader_jobs_done(struct reader *r)
{
	list_each(n, &r->jobs) reader_job_end(list_entry(n, struct job, node), CTL_FAILED,
	    "the server stops; try again when it runs");
}
