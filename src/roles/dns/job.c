/* From a question to its answer. */
#include "roles/dns/dns_priv.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

static void
set_timer(struct dns *d)
{
	int64_t now = loop_now(d->role.loop);
	if (list_empty(&d->jobs))
		loop_timer_stop(d->timer);
	else
		loop_timer_set(d->timer,
		    MAX(list_entry(d->jobs.next, struct job, node)->until - now, 1), 0);
}

static struct job *
job_new(struct peer *p, uint64_t id)
{
	struct dns *d = p->dns;
	if (d->n_jobs >= JOBS_MAX)
		return NULL;
	struct job *j = xalloc(sizeof(*j));
	*j = (struct job){ .dns = d,
		.peer = p,
		.id = id,
		.until = loop_now(d->role.loop) + JOB_MS,
		.ttl = CACHE_SECONDS_MAX,
		.found = BUF_INIT(ADDR_LIST_MAX * ADDRESS_LEN) };
	j->lookup.arg = j;
	bool first = list_empty(&d->jobs);
	list_add_tail(&d->jobs, &j->node);
	d->n_jobs++;
	if (first)
		set_timer(d);
	return j;
}

static void
job_free(struct job *j)
{
	lookup_cancel(&j->lookup);
	list_del(&j->node);
	j->dns->n_jobs--;
	buf_done(&j->found);
	free(j);
}

static void
answer(struct peer *p, uint16_t type, uint64_t id, struct str body)
{
	if (p && p->chan)
		chan_send(p->chan, type, id, body, -1);
}

static void
end(struct job *j, uint16_t type, struct str body)
{
	answer(j->peer, type, j->id, body);
	job_free(j);
}

static bool
ask(struct job *j, const char *name, int type, void (*fn)(void *arg, const struct lookup_answer *a))
{
	j->lookup.fn = fn;
	return lookup_ask(&j->lookup, j->dns->resolver, name, type);
}

/* --- the name of an address --- */

static void
end_name(struct job *j, const char *name, bool sure)
{
	uint32_t ttl = MIN(MAX(j->ttl, (uint32_t)CACHE_SECONDS_MIN), (uint32_t)CACHE_SECONDS_MAX);
	if (sure)
		cache_put(&j->dns->cache, str_n(j->address, ADDRESS_LEN), str_of(name),
		    loop_now(j->dns->role.loop), ttl);
	end(j, IPC_NAME, str_of(name));
}

static void try_next(struct job *j, bool sure);

static void
on_addresses(void *arg, const struct lookup_answer *a)
{
	struct job *j = arg;
	j->ttl = MIN(j->ttl, a->ttl);
	for (size_t i = 0; i < a->n; i++)
		if (name_same_address(a->data[i], j->address)) {
			end_name(j, j->name[j->next - 1], true);
			return;
		}
	try_next(j, a->verdict != LOOKUP_FAILED);
}

/* sure: so far everybody has answered. */
static void
try_next(struct job *j, bool sure)
{
	int type = name_is_mapped(j->address) ? DNS_A : DNS_AAAA;
	if (j->next >= j->n_names)
		end_name(j, "", sure);
	else if (!ask(j, j->name[j->next++], type, on_addresses))
		end_name(j, "", false);
}

static void
on_names(void *arg, const struct lookup_answer *a)
{
	struct job *j = arg;
	j->ttl = MIN(j->ttl, a->ttl);
	for (size_t i = 0; i < a->n && j->n_names < CANDIDATES_MAX; i++)
		if (name_text(a->data[i], j->name[j->n_names]))
			j->n_names++;
	try_next(j, a->verdict != LOOKUP_FAILED);
}

void
job_name(struct peer *p, uint64_t id, const unsigned char address[ADDRESS_LEN])
{
	struct dns *d = p->dns;
	struct str known;
	uint32_t left;
	char reverse[REVERSE_MAX];
	d->n_asked++;
	if (cache_get(&d->cache, str_n(address, ADDRESS_LEN), loop_now(d->role.loop), &known,
		&left)) {
		answer(p, IPC_NAME, id, known);
		return;
	}
	struct job *j = job_new(p, id);
	if (!j) {
		answer(p, IPC_NAME, id, STR(""));
		return;
	}
	memcpy(j->address, address, ADDRESS_LEN);
	name_reverse(address, reverse);
	if (!ask(j, reverse, DNS_PTR, on_names))
		end_name(j, "", false);
}

/* --- the addresses of a name --- */

static void
collect(struct job *j, const struct lookup_answer *a, size_t len)
{
	for (size_t i = 0; i < a->n && j->found.len < ADDR_LIST_MAX * ADDRESS_LEN; i++) {
		if (a->data[i].len != len)
			continue;
		if (len == 4)
			buf_put(&j->found, mapped, sizeof(mapped));
		buf_puts(&j->found, a->data[i]);
	}
}

static void
on_aaaa(void *arg, const struct lookup_answer *a)
{
	struct job *j = arg;
	collect(j, a, ADDRESS_LEN);
	end(j, IPC_ADDR, buf_str(&j->found));
}

static void
on_a(void *arg, const struct lookup_answer *a)
{
	struct job *j = arg;
	collect(j, a, 4);
	if (!ask(j, j->name[0], DNS_AAAA, on_aaaa))
		end(j, IPC_ADDR, buf_str(&j->found));
}

void
job_addresses(struct peer *p, uint64_t id, struct str name)
{
	p->dns->n_asked++;
	struct job *j = name.len <= NAME_MAX_LEN ? job_new(p, id) : NULL;
	if (!j)
		answer(p, IPC_ADDR, id, STR(""));
	else if (!str_copy(j->name[0], sizeof(j->name[0]), name) ||
		 !ask(j, j->name[0], DNS_A, on_a))
		end(j, IPC_ADDR, STR(""));
}

/* --- all of them --- */

static bool
is_name(const struct job *j)
{
	return j->lookup.fn == on_names || j->lookup.fn == on_addresses;
}

void
jobs_late(void *arg)
{
	struct dns *d = arg;
	int64_t now = loop_now(d->role.loop);
	list_each(n, &d->jobs)
	{
		struct job *j = list_entry(n, struct job, node);
		if (j->until > now)
			break;
		if (is_name(j))
			end_name(j, "", false);
		else
			end(j, IPC_ADDR, buf_str(&j->found));
	}
	set_timer(d);
}

void
jobs_orphan(struct dns *d, const struct peer *p)
{
	list_each(n, &d->jobs)
	{
		struct job *j = list_entry(n, struct job, node);
		if (j->peer == p)
			j->peer = NULL;
	}
}

void
jobs_drop(struct dns *d)
{
	list_each(n, &d->jobs) job_free(list_entry(n, struct job, node));
}
