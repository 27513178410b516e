#include "roles/auth/exchange.h"

#include "log/log.h"
#include "roles/auth/oauth.h"
#include "sys/clock.h"

#include <stdlib.h>
#include <string.h>

/* Refusals leave at multiples of this, so that how a hash was made does not show. */
#define REFUSE_GRID_MS 100
/* Steps that wait for a thread, above which those of addresses that have failed are turned away. */
#define GUESSERS_QUEUE_MAX 32

struct str
id_key(const uint64_t *id)
{
	return str_n(id, sizeof(*id));
}

static void
forget(struct exchange *ex)
{
	if (ex->fetch)
		fetch_forget(ex->auth, ex->fetch);
	ex->fetch = 0;
	if (ex->front)
		map_del(&ex->front->exchanges, id_key(&ex->id));
	ex->front = NULL;
}

static void
free_sasl(struct exchange *ex)
{
	ex->sasl = sasl_free(ex->sasl);
	buf_wipe(&ex->in);
	buf_done(&ex->in);
}

static void
exchange_free(struct exchange *ex)
{
	check(!ex->busy);
	forget(ex);
	free_sasl(ex);
	buf_wipe(&ex->body);
	buf_done(&ex->body);
	buf_done(&ex->late);
	loop_timer_free(ex->timer);
	oauth_unref(ex->oauth);
	ex->auth->n_exchanges--;
	explicit_bzero(ex, sizeof(*ex));
	free(ex);
}

/* Nobody waits any more. */
static void
drop(struct exchange *ex)
{
	forget(ex);
	if (!ex->busy)
		exchange_free(ex);
}

/* --- answers --- */

/* The way into the account's mail, for the front that asked. */
static void
add_ticket(struct msg_sasl *m, const struct exchange *ex, unsigned char mac[PASS_MAC_LEN])
{
	m->ticket_ms = (uint64_t)sys_wall_ms();
	if (ticket_make(&ex->auth->passes, ex->front->index, m->account, m->ticket_ms, mac))
		m->ticket = str_n(mac, PASS_MAC_LEN);
}

static void
put_answer(struct buf *b, enum sasl_verdict v, const struct exchange *ex, const char *why)
{
	struct msg_sasl m = { .verdict = (uint8_t)v, .why = str_of(why) };
	unsigned char mac[PASS_MAC_LEN];
	if (ex && ex->sasl && (v == SASL_V_OK || v == SASL_V_CHALLENGE))
		m.text = sasl_out(ex->sasl);
	if (ex && v == SASL_V_OK) {
		m.account = str_of(ex->who.name);
		m.authzid = sasl_authzid(ex->sasl);
		add_ticket(&m, ex, mac);
	}
	msg_sasl_put(b, &m);
	explicit_bzero(mac, sizeof(mac));
}

static void
answer(struct front_chan *f, uint64_t id, enum sasl_verdict v, const char *why)
{
	struct buf b = BUF_INIT(4096);
	put_answer(&b, v, NULL, why);
	check(!b.failed);
	chan_send(f->chan, IPC_SASL, id, buf_str(&b), -1);
	buf_done(&b);
}

static void
send_late(void *arg)
{
	struct exchange *ex = arg;
	chan_send(ex->front->chan, IPC_SASL, ex->id, buf_str(&ex->late), -1);
	exchange_free(ex);
}

/* The last answer, now or later. What the exchange held goes now. */
static void
end(struct exchange *ex, enum sasl_verdict v, int64_t delay_ms)
{
	buf_reset(&ex->late);
	put_answer(&ex->late, v, ex, v == SASL_V_OK ? "" : ex->why);
	if (ex->late.failed) { /* the library's word is longer than a message may be */
		buf_reset(&ex->late);
		put_answer(&ex->late, SASL_V_TEMPFAIL, NULL, "too long an answer");
	}
	free_sasl(ex);
	if (delay_ms <= 0) {
		send_late(ex);
		return;
	}
	loop_timer_free(ex->timer);
	ex->timer = loop_timer_new(ex->auth->loop, send_late, ex);
	loop_timer_set(ex->timer, delay_ms, 0);
}

static void
log_end(const struct exchange *ex, const char *event, int64_t delay_ms)
{
	LOG(LOG_INFO, 0, event, LOGF("account", ex->who.known ? str_of(ex->who.name) : STR("-")),
	    LOGZ("mechanism", ex->mech->name), LOGF("peer", ex->start.peer),
	    LOGF("service", ex->start.service), LOGZ("why", ex->why), LOGN("delay-ms", delay_ms));
}

/* A guess, and how long its answer waits. */
static int64_t
count_failure(struct exchange *ex)
{
	int64_t now = sys_mono_ms(), worked = MAX(now - ex->began, 0);
	int64_t delay =
	    guard_failed(ex->auth->guard, ex->start.prefix, str_of(ex->who.name), ex->tag, now);
	ex->auth->n_failed++;
	return MAX(delay, REFUSE_GRID_MS - worked % REFUSE_GRID_MS);
}

static void
refuse(struct exchange *ex)
{
	int64_t delay = count_failure(ex);
	exchange_why(ex, ex->mech->need == SASL_NEED_EXTERNAL
			     ? "no certificate of the client that names the account"
			     : "wrong name or password");
	log_end(ex, "login-refused", delay);
	end(ex, SASL_V_FAIL, delay);
}

static void
too_soon(struct exchange *ex)
{
	int64_t delay = guard_passed(ex->auth->guard, ex->start.prefix, sys_mono_ms());
	exchange_why(ex, "sooner after the last login than pop3_login_delay allows");
	log_end(ex, "login-too-soon", delay);
	end(ex, SASL_V_TOO_SOON, delay);
}

static void
let_in(struct exchange *ex)
{
	struct auth *au = ex->auth;
	int64_t delay = guard_passed(au->guard, ex->start.prefix, sys_mono_ms());
	au->n_logins++;
	ex->why[0] = '\0';
	log_end(ex, "login", delay);
	end(ex, SASL_V_OK, delay);
}

static void
challenge(struct exchange *ex)
{
	struct buf b = BUF_INIT(SASL_MESSAGE_MAX + 4096);
	put_answer(&b, SASL_V_CHALLENGE, ex, "");
	if (b.failed) {
		exchange_why(ex, "too long a challenge");
		end(ex, SASL_V_TEMPFAIL, 0);
	} else {
		chan_send(ex->front->chan, IPC_SASL, ex->id, buf_str(&b), -1);
	}
	buf_done(&b);
}

/* --- tokens and accounts that somebody else knows --- */

static void
not_told(struct exchange *ex, const char *why)
{
	exchange_why(ex, why);
	end(ex, SASL_V_TEMPFAIL, 0);
}

static void
token_late(void *arg)
{
	struct exchange *ex = arg;
	fetch_forget(ex->auth, ex->fetch);
	ex->fetch = 0;
	not_told(ex, "nobody told in time whether it is good");
}

static void
ask_somebody(struct exchange *ex)
{
	bool asked = ex->auth->kerberos
	                 ? fetch_ask_account(ex->auth, ex, &ex->fetch)
	                 : fetch_ask(ex->auth, ex, sasl_password(ex->sasl), &ex->fetch);
	if (!asked) {
		not_told(ex, "nobody can be asked about it now");
		return;
	}
	ex->timer = loop_timer_new(ex->auth->loop, token_late, ex);
	loop_timer_set(ex->timer, 10000, 0);
}

static void settle(struct exchange *ex);

void
exchange_fetched(struct exchange *ex, const struct msg_fetched *m)
{
	char name[SASL_NAME_MAX] = "";
	struct buf why = BUF_INIT(EXCHANGE_WHY_MAX);
	ex->fetch = 0;
	ex->timer = loop_timer_free(ex->timer);
	if (!m || m->status != 200) {
		not_told(ex, "the answer about the token did not come");
		return;
	}
	bool good = oauth_answer(ex->oauth, m->body, sys_wall_ms() / 1000, name, &why);
	if (!good)
		exchange_why(ex, buf_cstr(&why));
	buf_done(&why);
	ex->status = sasl_answer(ex->sasl, good, str_of(name));
	exchange_identify(ex);
	settle(ex);
}

void
exchange_confirmed(struct exchange *ex, bool told, enum account_verdict v)
{
	ex->fetch = 0;
	ex->timer = loop_timer_free(ex->timer);
	if (!told) {
		not_told(ex, "nobody tells whether there is such an account");
	} else if (v == ACCOUNT_LETS_IN) {
		let_in(ex);
	} else if (v == ACCOUNT_TOO_SOON) {
		too_soon(ex);
	} else {
		exchange_why(ex, "no such account, or it is locked");
		refuse(ex);
	}
}

/* --- steps --- */

static void
let_in_again(struct exchange *ex)
{
	struct msg_account m = { .name = str_of(ex->who.name) };
	auth_delay(ex->auth, &ex->start, &m);
	if (auth_again(ex->auth, &m))
		let_in(ex);
	else
		too_soon(ex);
}

static void
settle(struct exchange *ex)
{
	switch (ex->status) {
	case SASL_CHALLENGE:
		challenge(ex);
		break;
	case SASL_TOKEN:
		ask_somebody(ex);
		break;
	case SASL_DONE:
		if (ex->auth->kerberos)
			ask_somebody(ex);
		else
			let_in_again(ex);
		break;
	case SASL_FAILED:
		refuse(ex);
		break;
	case SASL_MALFORMED:
		exchange_why(ex, "not a message of the mechanism");
		end(ex, SASL_V_MALFORMED, 0);
		break;
	case SASL_UNAVAILABLE:
	case SASL_PASSWORD: /* was answered on the thread */
		exchange_why(ex, "the mechanism does not work now");
		/* That somebody is here and keeps no password is told no faster than a guess is. */
		if (ex->who.bare)
			end(ex, SASL_V_WEAK, count_failure(ex));
		else
			end(ex, SASL_V_TEMPFAIL, 0);
		break;
	}
}

static void
stepped(struct pool_job *job)
{
	struct exchange *ex = container_of(job, struct exchange, job);
	ex->busy = false;
	if (!ex->front || !job->ran) {
		if (job->ran && ex->status == SASL_FAILED)
			(void)count_failure(ex); /* who leaves before the answer has guessed, too */
		exchange_free(ex);
		return;
	}
	/* What the weak mechanisms say when the account keeps no password; 534, RFC 4954 6. */
	if (ex->status == SASL_FAILED && ex->who.bare && ex->mech->need == SASL_NEED_SECRET)
		ex->status = SASL_UNAVAILABLE;
	settle(ex);
}

/* Who guesses may fill a part of the queue only; so the others find their place in it. */
static bool
must_stay_outside(const struct exchange *ex)
{
	const struct auth *au = ex->auth;
	return pool_waiting(au->pool) >= GUESSERS_QUEUE_MAX &&
	       guard_passed(au->guard, ex->start.prefix, ex->began) > 0;
}

static void
submit(struct exchange *ex, bool has_in, struct str in)
{
	buf_reset(&ex->in);
	buf_puts(&ex->in, in);
	ex->has_in = has_in;
	ex->began = sys_mono_ms();
	if (ex->in.failed || must_stay_outside(ex) ||
	    !pool_submit(ex->auth->pool, &ex->job, false)) {
		exchange_why(ex, "too many logins at once");
		end(ex, SASL_V_TEMPFAIL, 0);
		return;
	}
	ex->busy = true;
}

static struct exchange *
exchange_new(struct front_chan *f, uint64_t id, const struct sasl_mech *mech, struct str body)
{
	struct exchange *ex = xalloc(sizeof(*ex));
	*ex = (struct exchange){ .job = { .work = exchange_work, .done = stepped },
		.auth = f->auth,
		.front = f,
		.id = id,
		.mech = mech,
		.body = BUF_INIT(body.len + 1),
		.in = BUF_INIT(SASL_MESSAGE_MAX + 1),
		.late = BUF_INIT(SASL_MESSAGE_MAX + 4096),
		.oauth = oauth_ref(f->auth->oauth) };
	check(buf_reserve(&ex->in, SASL_MESSAGE_MAX)); /* so that it never moves */
	buf_puts(&ex->body, body);
	check(!ex->body.failed && msg_sasl_start_get(buf_str(&ex->body), &ex->start));
	auth_bindings(f->auth, &ex->start);
	f->auth->n_exchanges++;
	map_put(&f->exchanges, id_key(&id), ex);
	return ex;
}

bool
exchange_start(struct front_chan *f, const struct ipc_frame *m)
{
	struct auth *au = f->auth;
	struct msg_sasl_start in;
	const char *why = NULL;
	if (!msg_sasl_start_get(m->body, &in) || (in.prefix.len != 0 && in.prefix.len != 16) ||
	    map_get(&f->exchanges, id_key(&m->id)))
		return false;
	const struct sasl_mech *mech = sasl_mech_find(in.mech);
	enum sasl_verdict v = auth_may(au, &in, mech, &why);
	if (v == SASL_V_OK &&
	    (f->exchanges.used >= EXCHANGES_FRONT_MAX || au->n_exchanges >= EXCHANGES_MAX)) {
		v = SASL_V_TEMPFAIL;
		why = "too many logins at once";
	}
	if (v != SASL_V_OK) {
		answer(f, m->id, v, why);
		return true;
	}
	struct exchange *ex = exchange_new(f, m->id, mech, m->body);
	submit(ex, ex->start.has_initial, ex->start.initial);
	return true;
}

bool
exchange_step(struct front_chan *f, const struct ipc_frame *m)
{
	struct exchange *ex = map_get(&f->exchanges, id_key(&m->id));
	/* An exchange that ended as this was on its way: the front has its answer by now. */
	if (!ex)
		return true;
	if (ex->busy || !ex->sasl || ex->fetch || m->body.len > SASL_MESSAGE_MAX)
		return false;
	submit(ex, true, m->body);
	return true;
}

bool
exchange_drop(struct front_chan *f, const struct ipc_frame *m)
{
	struct exchange *ex = map_get(&f->exchanges, id_key(&m->id));
	if (ex)
		drop(ex);
	return true;
}

void
exchanges_drop(struct front_chan *f)
{
	size_t pos = 0;
	struct str key;
	void *v;
	while (map_next(&f->exchanges, &pos, &key, &v))
		drop(v);
	map_done(&f->exchanges);
}
