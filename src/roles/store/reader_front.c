/*
 * Fronts that read mail for somebody who has logged in.
 *
 * A request that must see everything acknowledged before it waits until the writer has said so;
 * all that come in one turn of the loop share one ask. The others are answered as they come, front
 * by front, a window each; when that takes long, others are heard in between.
 */
#include "log/log.h"
#include "roles/store/names.h"
#include "roles/store/reader_priv.h"
#include "roles/store/window.h"
#include "sys/clock.h"
#include "sys/file.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define ENTERS_MAX 4096 /* that a front may have open */
#define TURN_MS 5       /* of work, before others are heard */
#define TICK_MS 1000
#define AWAY_MS 5000  /* how long a request waits for a writer that is not there */
#define SYNC_MS 30000 /* ... and for the answer of one that is */

struct request {
	struct list node; /* front->ready or front->waiting */
	struct reader_front *front;
	uint64_t id;
	uint64_t sync; /* the ask that it waits for; 0: there is nobody to ask */
	int64_t until;
	bool enter;
	uint16_t slot;
	uint64_t account;
	struct str ask; /* views into octets */
	struct str address;
	char octets[];
};

static void
request_free(struct request *q)
{
	struct reader_front *f = q->front;
	list_del(&q->node);
	if (q->enter)
		f->n_enters--;
	else
		f->busy &= ~(1u << q->slot);
	free(q);
}

static void
front_close(struct reader_front *f, const char *why)
{
	if (!f->chan)
		return;
	LOG(why ? LOG_WARN : LOG_DEBUG, 0, "front-away", LOGN("front", f->index),
	    LOGZ("why", why ? why : "closed"));
	f->chan = chan_free(f->chan);
	list_each(n, &f->ready) request_free(list_entry(n, struct request, node));
	list_each(n, &f->waiting) request_free(list_entry(n, struct request, node));
	check(f->busy == 0 && f->n_enters == 0);
	memfd_window_unmap(f->slots, READ_SLOTS_SIZE);
	f->slots = NULL;
}

/* --- answers --- */

/* Ends the request. A front that does not read its answers loses its channel. */
static void
answer(struct request *q, uint16_t type, struct str body)
{
	struct reader_front *f = q->front;
	uint64_t id = q->id;
	request_free(q);
	if (chan_pending(f->chan) > IPC_HIGH_WATER)
		front_close(f, "it does not read its answers");
	else
		chan_send(f->chan, type, id, body, -1);
}

static void
entered(struct request *q, enum access_status status, uint64_t account)
{
	struct msg_entered m = { .status = (uint8_t)status, .account = account };
	struct buf b = BUF_INIT(128);
	unsigned char mac[PASS_MAC_LEN];
	if (status == ACCESS_OK &&
	    pass_make(&q->front->reader->passes, q->front->index, account, mac))
		m.mac = str_n(mac, sizeof(mac));
	else if (status == ACCESS_OK)
		m = (struct msg_entered){ .status = ACCESS_FAILED };
	msg_entered_put(&b, &m);
	answer(q, IPC_ENTERED, buf_str(&b));
	buf_done(&b);
}

static void
have_read(struct request *q, enum access_status status, uint32_t len)
{
	struct msg_read_done m = { .status = (uint8_t)status, .len = len };
	struct buf b = BUF_INIT(16);
	msg_read_done_put(&b, &m);
	answer(q, IPC_READ_DONE, buf_str(&b));
	buf_done(&b);
}

static void
refuse(struct request *q, enum access_status status)
{
	if (q->enter)
		entered(q, status, 0);
	else
		have_read(q, status, 0);
}

/* The account of an address that has logged in. */
static int
find_account(struct reader *r, struct str address, uint64_t *ret)
{
	const struct store_dom dom = store_dom_directory();
	char name[NAME_MAX_FOLDED];
	struct store_snap *sn;
	struct str value;
	if (!names_user(address, name, sizeof(name)))
		return -ENOENT;
	int rc = store_snap_open(r->store, &dom, &sn, NULL);
	if (rc < 0)
		return rc;
	rc = names_get(sn, 'u', str_of(name), &value);
	if (rc == 0 && !names_account_get(value, ret))
		rc = -EBADMSG;
	store_snap_close(sn);
	return rc;
}

static void
run_enter(struct request *q)
{
	uint64_t account;
	int rc = find_account(q->front->reader, q->address, &account);
	if (rc == 0)
		entered(q, ACCESS_OK, account);
	else
		entered(q, rc == -ENOENT ? ACCESS_NOT_FOUND : ACCESS_FAILED, 0);
}

static void
run_read(struct request *q)
{
	struct reader_front *f = q->front;
	struct access_ask ask;
	struct window w = { .store = f->reader->store,
		.ask = &ask,
		.account = q->account,
		.conf = f->reader->conf };
	uint32_t len = 0;
	check(access_ask_get(q->ask, &ask)); /* looked at when it came */
	enum access_status status =
	    window_fill(&w, f->slots + (size_t)q->slot * READ_SLOT_SIZE, &len);
	have_read(q, status, status == ACCESS_OK ? len : 0);
}

/* --- work --- */

static struct request *
next_request(struct reader *r)
{
	for (unsigned i = 0; i < FRONT_MAX; i++) {
		struct reader_front *f = &r->front[(r->next_front + i) % FRONT_MAX];
		if (list_empty(&f->ready))
			continue;
		r->next_front = (f->index + 1u) % FRONT_MAX;
		return list_entry(f->ready.next, struct request, node);
	}
	return NULL;
}

static void
on_work(void *arg)
{
	struct reader *r = arg;
	struct request *q;
	int64_t until = sys_mono_ms() + TURN_MS;
	while ((q = next_request(r)) != NULL) {
		if (!r->store)
			refuse(q, ACCESS_FAILED);
		else if (q->enter)
			run_enter(q);
		else
			run_read(q);
		if (sys_mono_ms() >= until) {
			loop_timer_set(r->work_on, 0, 0);
			return;
		}
	}
}

/* --- the writer --- */

static void
on_turn_end(void *arg)
{
	struct reader *r = arg;
	r->turn_sync = 0;
}

static void
ask_writer(struct request *q)
{
	struct reader *r = q->front->reader;
	if (r->writer && !r->turn_sync) {
		r->turn_sync = ++r->last_sync;
		chan_send(r->writer, IPC_SYNC, r->turn_sync, STR_NULL, -1);
		loop_defer_add(r->role.loop, &r->turn_end);
	}
	q->sync = r->writer ? r->turn_sync : 0;
	q->until = loop_now(r->role.loop) + (q->sync ? SYNC_MS : AWAY_MS);
}

/* Those who wait too long are told so. */
static void
on_tick(void *arg)
{
	struct reader *r = arg;
	int64_t now = loop_now(r->role.loop);
	bool more = false;
	for (size_t i = 0; i < FRONT_MAX; i++) {
		struct reader_front *f = &r->front[i];
		list_each(n, &f->waiting)
		{
			struct request *q = list_entry(n, struct request, node);
			if (q->until <= now)
				refuse(q, ACCESS_FAILED);
			if (!f->chan)
				break;
		}
		more = more || !list_empty(&f->waiting);
	}
	if (!more)
		loop_timer_stop(r->tick);
}

static void
submit(struct request *q, bool fresh)
{
	struct reader_front *f = q->front;
	struct reader *r = f->reader;
	if (!fresh && r->store && !r->stale) {
		list_add_tail(&f->ready, &q->node);
		loop_defer_add(r->role.loop, &r->work);
		return;
	}
	bool idle = true;
	for (size_t i = 0; i < FRONT_MAX; i++)
		idle = idle && list_empty(&r->front[i].waiting);
	list_add_tail(&f->waiting, &q->node);
	ask_writer(q);
	if (idle)
		loop_timer_set(r->tick, TICK_MS, TICK_MS);
}

void
reader_fronts_ask_writer(struct reader *r)
{
	r->turn_sync = 0;
	for (size_t i = 0; i < FRONT_MAX; i++)
		list_each(n, &r->front[i].waiting) ask_writer(list_entry(n, struct request, node));
}

void
reader_fronts_writer_away(struct reader *r)
{
	reader_fronts_ask_writer(r);
}

static bool
take_answered(struct reader_front *f, uint64_t id)
{
	bool any = false;
	list_each(n, &f->waiting)
	{
		struct request *q = list_entry(n, struct request, node);
		/* What was applied for a later ask was for an earlier one. */
		if (q->sync == 0 || q->sync > id)
			continue;
		list_del(&q->node);
		list_add_tail(&f->ready, &q->node);
		any = true;
	}
	return any;
}

void
reader_fronts_synced(struct reader *r, uint64_t id)
{
	bool any = false;
	for (size_t i = 0; i < FRONT_MAX; i++)
		any = take_answered(&r->front[i], id) || any;
	if (!any)
		return;
	struct buf err = BUF_INIT(4096);
	if (!reader_open_store(r, &err))
		LOG(LOG_ERROR, 0, "store-not-opened", LOGF("error", str_trim(buf_str(&err))));
	buf_done(&err);
	loop_defer_add(r->role.loop, &r->work);
}

/* --- a front's channel --- */

static struct request *
request_new(struct reader_front *f, uint64_t id, struct str octets)
{
	struct request *q = xalloc(sizeof(*q) + octets.len + 1);
	q->front = f;
	q->id = id;
	if (octets.len)
		memcpy(q->octets, octets.p, octets.len);
	return q;
}

static bool
on_enter(struct reader_front *f, const struct ipc_frame *m)
{
	struct reader *r = f->reader;
	struct msg_enter in;
	if (!msg_enter_get(m->body, &in) || f->n_enters >= ENTERS_MAX)
		return false;
	struct request *q = request_new(f, m->id, in.address);
	q->enter = true;
	q->address = str_n(q->octets, in.address.len);
	f->n_enters++;
	list_init(&q->node);
	if (ticket_good(&r->passes, f->index, in.address, in.time_ms, in.mac,
		(uint64_t)sys_wall_ms())) {
		submit(q, false);
		return true;
	}
	LOG(LOG_WARN, 0, "ticket-refused", LOGN("front", f->index), LOGF("address", in.address));
	refuse(q, ACCESS_DENIED);
	return true;
}

static bool
on_read(struct reader_front *f, const struct ipc_frame *m)
{
	struct reader *r = f->reader;
	struct msg_read in;
	struct access_ask ask;
	if (!msg_read_get(m->body, &in) || (f->busy & 1u << in.slot))
		return false;
	struct request *q = request_new(f, m->id, in.ask);
	q->slot = in.slot;
	q->account = in.pass.account;
	q->ask = str_n(q->octets, in.ask.len);
	f->busy |= 1u << in.slot;
	list_init(&q->node);
	if (!access_ask_get(q->ask, &ask)) {
		refuse(q, ACCESS_BAD);
	} else if (ask.kind != ACCESS_URL &&
		   !pass_good(&r->passes, f->index, in.pass.account, in.pass.mac)) {
		LOG(LOG_WARN, 0, "pass-refused", LOGN("front", f->index),
		    LOGN("account", in.pass.account));
		refuse(q, ACCESS_DENIED);
	} else {
		submit(q, ask.fresh);
	}
	return true;
}

static const struct {
	enum ipc_type type;
	bool (*handle)(struct reader_front *f, const struct ipc_frame *m); /* false: a breach */
} from_front[] = {
	{ IPC_READ, on_read },
	{ IPC_ENTER, on_enter },
};

static void
front_frame(void *arg, struct chan *c, const struct ipc_frame *m)
{
	struct reader_front *f = arg;
	bool ok = false;
	if (m->fd >= 0)
		close(m->fd);
	else
		for (size_t i = 0; i < ARRAY_LEN(from_front); i++)
			if (from_front[i].type == m->type)
				ok = from_front[i].handle(f, m);
	if (!ok)
		front_close(f, "malformed message");
}

static void
front_gone(void *arg, struct chan *c, const char *why)
{
	front_close(arg, why);
}

static const struct chan_handler front_handler = { front_frame, front_gone, NULL };

/* Each life of a front gets slots of its own: what stood in those of the last is not for it. */
void
reader_front_connect(struct reader *r, uint16_t index, int fd)
{
	struct reader_front *f = &r->front[index];
	front_close(f, NULL);
	int slots = memfd_window_new("pennypost-slots", READ_SLOTS_SIZE, &f->slots);
	if (slots < 0) {
		LOG(LOG_ERROR, 0, "front-refused", LOGN("front", index),
		    LOGZ("error", strerror(-slots)));
		close(fd);
		return;
	}
	f->chan = chan_new(r->role.loop, fd, &front_handler, f);
	if (f->chan) {
		chan_send(f->chan, IPC_SLOTS, 0, STR_NULL, slots);
	} else {
		LOG(LOG_ERROR, 0, "front-refused", LOGN("front", index),
		    LOGZ("error", strerror(errno)));
		memfd_window_unmap(f->slots, READ_SLOTS_SIZE);
		f->slots = NULL;
	}
	close(slots);
}

bool
reader_fronts_connected(const struct reader *r)
{
	for (size_t i = 0; i < FRONT_MAX; i++)
		if (r->front[i].chan)
			return true;
	return false;
}

void
reader_fronts_init(struct reader *r)
{
	for (uint16_t i = 0; i < FRONT_MAX; i++) {
		struct reader_front *f = &r->front[i];
		*f = (struct reader_front){ .reader = r, .index = i };
		list_init(&f->ready);
		list_init(&f->waiting);
	}
	loop_defer_init(&r->turn_end, on_turn_end, r);
	loop_defer_init(&r->work, on_work, r);
	r->work_on = loop_timer_new(r->role.loop, on_work, r);
	r->tick = loop_timer_new(r->role.loop, on_tick, r);
}

void
reader_fronts_done(struct reader *r)
{
	for (size_t i = 0; i < FRONT_MAX; i++)
		front_close(&r->front[i], NULL);
	loop_defer_del(&r->turn_end);
	loop_defer_del(&r->work);
	r->work_on = loop_timer_free(r->work_on);
	r->tick = loop_timer_free(r->tick);
}
