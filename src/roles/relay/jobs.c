/* Jobs and their leases: what store gives, takes back and has taken. */
#include "roles/relay/relay_priv.h"

#include "log/log.h"
#include "sys/clock.h"

#include <stdlib.h>
#include <string.h>

static void
job_free(struct job *j)
{
	check(!j->conn);
	dest_remove(j);
	spool_end(j);
	map_del(&j->relay->jobs, relay_key(&j->lease));
	for (size_t i = 0; j->fates && i < j->entry.n_rcpts; i++)
		free(j->fates[i].text);
	free(j->fates);
	free(j->addrs);
	free(j->rcpt);
	free(j->rcpts);
	free(j->index);
	buf_done(&j->octets);
	buf_done(&j->history);
	buf_done(&j->tlsrpt);
	buf_done(&j->result);
	free(j);
}

/* The recipients, and which of them wait. False: what store sent does not fit together. */
static bool
take_rcpts(struct job *j)
{
	size_t n = j->entry.n_rcpts;
	struct queue_state state = { 0 };
	struct wire w = wire_of(j->entry.rcpts), told;
	bool has = j->msg.state.len > 0;
	if (has && (!queue_state_get(j->msg.state, &state) || state.n != n))
		return false;
	told = wire_of(state.rcpts);
	j->fates = xalloc(n * sizeof(*j->fates));
	j->addrs = xalloc(n * sizeof(*j->addrs));
	j->rcpt = xalloc(n * sizeof(*j->rcpt));
	j->rcpts = xalloc(n * sizeof(*j->rcpts));
	j->index = xalloc(n * sizeof(*j->index));
	for (size_t i = 0; i < n; i++) {
		struct queue_told t = { .state = RCPT_WAITS };
		if (!queue_rcpt_get(&w, &j->rcpt[i]) || (has && !queue_told_get(&told, &t)))
			return false;
		j->addrs[i] = j->rcpt[i].addr;
		j->fates[i] =
		    (struct fate){ .fate = JOB_NOT_TRIED, .wanted = t.state == RCPT_WAITS };
		j->fates[i].settled = !j->fates[i].wanted;
	}
	return true;
}

static bool
read_job(struct job *j, struct str body)
{
	struct target t;
	buf_puts(&j->octets, body);
	return !j->octets.failed && msg_job_get(buf_str(&j->octets), &j->msg) &&
	       queue_entry_get(j->msg.entry, &j->entry) && j->entry.n_rcpts > 0 &&
	       target_parse(j->msg.target, &t) && take_rcpts(j);
}

bool
relay_job_take(struct relay *r, const struct ipc_frame *m)
{
	if (map_get(&r->jobs, relay_key(&m->id)) || r->jobs.used >= JOBS_MAX)
		return false;
	struct job *j = xalloc(sizeof(*j));
	*j = (struct job){ .relay = r,
		.lease = m->id,
		.octets = BUF_INIT(IPC_BODY_MAX),
		.history = BUF_INIT(JOB_HISTORY_MAX),
		.tlsrpt = BUF_INIT(4096),
		.result = BUF_INIT(IPC_BODY_MAX),
		.begun_ms = sys_mono_ms(),
		.begun_wall_ms = sys_wall_ms() };
	list_init(&j->node);
	list_init(&j->cramped);
	map_put(&r->jobs, relay_key(&j->lease), j);
	if (!read_job(j, m->body)) {
		j->entry.n_rcpts = j->fates ? j->entry.n_rcpts : 0;
		job_free(j);
		return false;
	}
	j->vouched_ms = MIN((int64_t)j->msg.given_ms, j->begun_ms);
	spool_begin(j);
	if (r->role.draining) {
		relay_job_done(j);
		return true;
	}
	dest_add(dest_find(r, j->msg.target, dest_match(r, j->entry.domain, j->msg.target),
		     j->msg.turn),
	    j);
	return true;
}

bool
relay_job_is_ours(const struct job *j)
{
	return !j->orphan && j->relay->store && sys_mono_ms() - j->vouched_ms < JOB_QUIET_MS;
}

bool
relay_job_is_barred(const struct job *j, const struct plan_host *h)
{
	return plan_bars(h, j->entry.flags & ONWARD_REQUIRETLS,
	    j->entry.flags & ONWARD_TLS_OPTIONAL);
}

void
relay_job_stage(struct job *j, enum job_stage s, const char *where)
{
	struct msg_stage m = { .stage = (uint8_t)s, .where = str_of(where) };
	struct buf b = BUF_INIT(1024);
	int64_t now = sys_mono_ms();
	/* Too late: store may have given it to another. Nothing that is said now makes it ours
	 * again. */
	if (j->fetch || !j->relay->store || now - j->vouched_ms >= JOB_LEASE_MS - JOB_QUIET_MS)
		return;
	msg_stage_put(&b, &m);
	chan_send(j->relay->store, IPC_JOB_STAGE, j->lease, buf_str(&b), -1);
	buf_done(&b);
	j->vouched_ms = now;
}

static struct job **
all_jobs(const struct relay *r, size_t *ret_n)
{
	struct job **all = xalloc((r->jobs.used + 1) * sizeof(struct job *));
	size_t pos = 0, n = 0;
	struct str key;
	void *v;
	while (map_next(&r->jobs, &pos, &key, &v))
		all[n++] = v;
	*ret_n = n;
	return all;
}

size_t
relay_jobs_running(const struct relay *r)
{
	size_t pos = 0, n = 0;
	struct str key;
	void *v;
	while (map_next(&r->jobs, &pos, &key, &v))
		n += ((struct job *)v)->state == JOB_RUNS;
	return n;
}

void
relay_jobs_beat(struct relay *r)
{
	size_t n;
	struct job **all = all_jobs(r, &n);
	int64_t now = sys_mono_ms();
	for (size_t i = 0; i < n; i++) {
		struct job *j = all[i];
		if (j->state == JOB_IS_DONE || now - j->vouched_ms < BEAT_MS)
			continue;
		enum job_stage s = j->ending                  ? JOB_ENDING
		                   : j->conn && j->conn->open ? JOB_TALKING
		                   : j->conn                  ? JOB_CONNECTING
		                                              : JOB_LOOKING;
		relay_job_stage(j, s, j->conn ? j->conn->where : "");
	}
	free(all);
}

bool
relay_job_cancel(struct relay *r, const struct ipc_frame *m)
{
	struct job *j = map_get(&r->jobs, relay_key(&m->id));
	if (!j || j->state == JOB_IS_DONE)
		return true; /* the result is on its way */
	j->cancelled = true;
	if (j->state == JOB_WAITS) {
		dest_remove(j);
		relay_job_done(j);
	} else if (!j->ending) {
		relay_conn_cancel(j->conn);
	}
	return true;
}

bool
relay_job_taken(struct relay *r, const struct ipc_frame *m)
{
	struct job *j = map_get(&r->jobs, relay_key(&m->id));
	if (j && j->state != JOB_IS_DONE)
		return false;
	if (j)
		job_free(j);
	return true;
}

/* What has no end mark yet is given up; nobody is told: to the next store it was never given. */
void
relay_jobs_store_gone(struct relay *r)
{
	size_t n;
	struct job **all = all_jobs(r, &n);
	for (size_t i = 0; i < n; i++) {
		struct job *j = all[i];
		j->orphan = true;
		if (j->state == JOB_IS_DONE || j->ending)
			continue;
		if (j->conn) {
			struct conn *c = j->conn;
			c->job = NULL;
			j->conn = NULL;
			relay_conn_close(c);
		}
		job_free(j);
	}
	free(all);
}

static void
say_result(struct job *j)
{
	if (j->relay->store && j->state == JOB_IS_DONE)
		chan_send(j->relay->store, IPC_JOB_RESULT, j->lease, buf_str(&j->result), -1);
}

void
relay_jobs_store_here(struct relay *r)
{
	size_t n;
	struct job **all = all_jobs(r, &n);
	struct buf leases = BUF_INIT(IPC_BODY_MAX), b = BUF_INIT(IPC_BODY_MAX);
	for (size_t i = 0; i < n; i++) {
		struct msg_lease l = { all[i]->lease, all[i]->msg.letter, all[i]->msg.part };
		msg_lease_put(&leases, &l);
	}
	struct msg_hello hello = {
		.relays = r->relays, .n = (uint16_t)n, .leases = buf_str(&leases)
	};
	msg_hello_put(&b, &hello);
	check(!b.failed && n <= JOBS_MAX);
	chan_send(r->store, IPC_RELAY_HELLO, 0, buf_str(&b), -1);
	for (size_t i = 0; i < n; i++)
		say_result(all[i]);
	buf_done(&leases);
	buf_done(&b);
	free(all);
}

void
relay_jobs_drop(struct relay *r)
{
	size_t n;
	struct job **all = all_jobs(r, &n);
	for (size_t i = 0; i < n; i++) {
		if (all[i]->conn)
			all[i]->conn->job = NULL;
		all[i]->conn = NULL;
		job_free(all[i]);
	}
	free(all);
}

/* --- the end --- */

static void
put_result(struct job *j)
{
	struct buf fates = BUF_INIT(IPC_BODY_MAX);
	bool sent = false;
	for (size_t i = 0; i < j->entry.n_rcpts; i++) {
		const struct fate *f = &j->fates[i];
		struct msg_fate m = { .fate = f->fate,
			.code = f->code,
			.status = str_of(f->status),
			.text = str_of(f->text ? f->text : "") };
		msg_fate_put(&fates, &m);
		sent = sent || (f->wanted && job_fate_is_sent(f->fate));
	}
	struct msg_result m = { .trouble = j->trouble,
		.dead = j->dead,
		.mta = str_of(j->mta),
		.ip = str_of(j->ip),
		.tls = str_of(j->tls),
		.tlsrpt = buf_str(&j->tlsrpt),
		.begun_ms = (uint64_t)j->begun_wall_ms,
		.ended_ms = (uint64_t)sys_wall_ms(),
		.history = buf_str(&j->history),
		.n = j->entry.n_rcpts,
		.fates = buf_str(&fates) };
	msg_result_put(&j->result, &m);
	check(!fates.failed && !j->result.failed);
	buf_done(&fates);
	j->relay->n_sent += sent;
}

void
relay_job_done(struct job *j)
{
	check(j->state != JOB_IS_DONE && !j->conn);
	dest_remove(j);
	if (j->fetch) {
		fetch_over(j);
		job_free(j);
		return;
	}
	j->state = JOB_IS_DONE;
	put_result(j);
	spool_end(j);
	buf_done(&j->history);
	say_result(j);
}
