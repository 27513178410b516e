/* trace: the letters of a queue id, letter id or session id, from the log itself. */
#include "log/log.h"
#include "roles/store/reader_priv.h"
#include "roles/store/text.h"

#include <stdlib.h>
#include <string.h>

#define TRACE_LETTERS_MAX 1000
#define TRACE_FIELD_MAX (1u << 20) /* of a row, see ipc/msg.h */

static bool
put_hit(void *arg, const struct trace_record *t)
{
	struct job *j = arg;
	for (size_t i = 0; i < j->n_hits; i++)
		if (j->hits[i] == t->letter)
			return true;
	j->hits = xrealloc(j->hits, (j->n_hits + 1) * sizeof(*j->hits));
	j->hits[j->n_hits] = t->letter;
	char letter[14], session[14], time[TEXT_NUM];
	id_format(letter, t->letter);
	id_format(session, t->session);
	const struct str row[] = {
		str_of(letter),
		str_of(session),
		text_u64(time, t->time_ms),
		t->qid,
		t->from,
		str_first(t->rcpts, TRACE_FIELD_MAX),
		str_first(t->history, TRACE_FIELD_MAX),
	};
	desk_row(j->ask, row, ARRAY_LEN(row));
	return ++j->n_hits < TRACE_LETTERS_MAX && !desk_full(j->ask);
}

static enum job_step
begin(struct job *j)
{
	j->seq = 1;
	if (*j->arg[0])
		return JOB_MORE;
	return reader_job_end(j, CTL_INVALID,
	    "trace needs a queue id, a letter's id or a session's id");
}

/* One segment: a log may be large, and others wait. */
static enum job_step
step(struct job *j)
{
	int rc = trace_find_slice(j->reader->dir, str_of(j->arg[0]), &j->seq, put_hit, j);
	if (rc < 0)
		return reader_job_end(j, CTL_FAILED,
		    "the log cannot be read: %s; `pennypost fsck` looks for damage", strerror(-rc));
	if (j->n_hits == TRACE_LETTERS_MAX || desk_full(j->ask))
		return reader_job_end(j, CTL_OK,
		    "only the first %zu letters are shown; ask for one letter's id to see it",
		    j->n_hits);
	if (j->seq)
		return JOB_MORE;
	if (j->n_hits == 0)
		return reader_job_end(j, CTL_NOT_FOUND, "there is no letter with the id %s",
		    j->arg[0]);
	return reader_job_end(j, CTL_OK, "%s", "");
}

static void
forget_hits(struct job *j)
{
	free(j->hits);
}

static const struct job_kind kind = { begin, step, forget_hits };

void
reader_op_trace(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	reader_job_new(arg, a, m, &kind);
}
