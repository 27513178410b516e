#include "roles/store/mail_change.h"

#include "access/name.h"
#include "base/wire.h"
#include "log/log.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>

#define HISTORY_MAX 2048

_Static_assert((int)ACCESS_ADD == (int)MAIL_FLAGS_ADD &&
		   (int)ACCESS_REMOVE == (int)MAIL_FLAGS_REMOVE &&
		   (int)ACCESS_REPLACE == (int)MAIL_FLAGS_REPLACE,
    "one is taken for the other");
_Static_assert((int)ACCESS_SYSTEM == (int)MAILBOX_FLAGS_SYSTEM &&
		   ACCESS_KEYWORD_BIT == MAILBOX_KEYWORD_FIRST,
    "flags have the same bits");
_Static_assert(ACCESS_KEYWORDS == MAIL_KEYWORDS_MAX && ACCESS_LETTERS_MAX <= MAIL_APPENDS_MAX &&
		   ACCESS_LETTERS_MAX <= MAIL_OUTLINES_MAX && ACCESS_RANGES_MAX <= MAIL_RANGES_MAX,
    "what may be asked can be done");

/* --- what comes as octets --- */

/* The ranges of a set that was looked at; on the heap. */
static struct mail_range *
ranges_of(struct str uids, size_t *ret_n)
{
	struct wire w = wire_of(uids);
	size_t n = uids.len / 8;
	struct mail_range *r = xalloc((n + 1) * sizeof(*r));
	for (size_t i = 0; i < n; i++) {
		r[i].first = get_u32(&w);
		r[i].last = get_u32(&w);
	}
	*ret_n = n;
	return r;
}

/* At most ACCESS_KEYWORDS names. */
static size_t
keywords_of(struct str list, struct str *ret)
{
	size_t n = 0;
	while (n < ACCESS_KEYWORDS && access_keyword_next(&list, &ret[n]))
		n++;
	return n;
}

/* --- letters --- */

static enum access_status
door(struct mail_change *m, unsigned rights)
{
	struct store_role *r = m->role;
	return entry_by_number(r->store, &r->entries, m->who, m->c.mailbox, rights, &m->at);
}

static enum access_status
door_into(struct mail_change *m)
{
	struct store_role *r = m->role;
	return entry_by_name(r->store, &r->entries, m->who, m->c.name, ENTRY_INSERT, &m->to);
}

/* What `trace` shows of it. */
static struct mail_by
by_whom(const struct mail_change *m, struct buf *who)
{
	if (m->address.len)
		buf_putf(who, "by " STR_FMT, STR_ARG(m->address));
	else
		buf_putf(who, "by account %llu", (unsigned long long)m->who);
	if (m->c.kind == ACCESS_COPY || m->c.kind == ACCESS_MOVE)
		buf_putf(who, " to " STR_FMT, STR_ARG(m->c.name));
	if (m->peer.len)
		buf_putf(who, " from " STR_FMT, STR_ARG(m->peer));
	return (struct mail_by){ m->session, (uint64_t)sys_wall_ms(), buf_str(who), m->peer };
}

static enum access_status
change_flags(struct mail_change *m)
{
	const struct access_change *c = &m->c;
	struct str keyword[ACCESS_KEYWORDS];
	enum access_status status = door(m, ENTRY_FLAGS);
	if (status != ACCESS_OK)
		return status;
	struct mail_flags f = {
		.account = m->at.account,
		.mailbox = m->at.mailbox,
		.op = (enum mail_flags_op)c->mode,
		.flags = c->flags,
		.keywords = keyword,
		.n_keywords = keywords_of(c->keywords, keyword),
		.conditional = c->unchanged_since != UINT64_MAX,
		.unchanged_since = c->unchanged_since,
		.level = STORE_APPLIED,
	};
	struct mail_range *uids = ranges_of(c->uids, &f.n_uids);
	struct buf who = BUF_INIT(MAIL_WHO_MAX);
	f.uids = uids;
	f.by = by_whom(m, &who);
	mail_store_flags(m->role->store, &f, mail_changed, m);
	buf_done(&who);
	free(uids);
	return ACCESS_OK;
}

static enum access_status
expunge(struct mail_change *m)
{
	enum access_status status = door(m, ENTRY_EXPUNGE);
	if (status != ACCESS_OK)
		return status;
	struct mail_expunge x = { .account = m->at.account,
		.mailbox = m->at.mailbox,
		.deleted_only = m->c.only_deleted,
		.level = STORE_APPLIED };
	struct mail_range *uids = ranges_of(m->c.uids, &x.n_uids);
	struct buf who = BUF_INIT(MAIL_WHO_MAX);
	x.uids = uids;
	x.by = by_whom(m, &who);
	mail_expunge(m->role->store, &x, mail_changed, m);
	buf_done(&who);
	free(uids);
	return ACCESS_OK;
}

static bool
add_size(void *arg, const struct mail_meta *l)
{
	uint64_t *sum = arg;
	*sum += l->size;
	return true;
}

/* Octets of the letters that are to be copied. */
static int
measure(struct mail_change *m, const struct mail_range *uids, size_t n, uint64_t *ret)
{
	const struct store_dom dom = store_dom_mailbox(m->at.account, m->at.mailbox);
	struct store_snap *sn;
	*ret = 0;
	int rc = store_snap_open(m->role->store, &dom, &sn, NULL);
	writer_check(rc);
	if (rc < 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = mail_each_meta(sn, uids[i].first, uids[i].last, add_size, ret);
	store_snap_close(sn);
	return rc;
}

static enum access_status
copy(struct mail_change *m)
{
	struct store_role *r = m->role;
	struct mail_copy c = {
		.move = m->c.kind == ACCESS_MOVE,
		.now_ms = (uint64_t)sys_wall_ms(),
		.level = STORE_APPLIED,
	};
	enum access_status status = door(m, c.move ? ENTRY_READ | ENTRY_EXPUNGE : ENTRY_READ);
	if (status == ACCESS_OK)
		status = door_into(m);
	if (status != ACCESS_OK)
		return status;
	/* Another account's mail is its own; nobody has rights there. */
	check(m->at.account == m->to.account);
	struct mail_range *uids = ranges_of(m->c.uids, &c.n_uids);
	uint64_t octets = 0;
	bool counts = !c.move && writer_quota(r, m->to.account) > 0;
	int rc = counts ? measure(m, uids, c.n_uids, &octets) : 0;
	if (rc < 0)
		status = ACCESS_FAILED;
	else if (counts && !writer_has_room(r, m->to.account, octets))
		status = ACCESS_OVERQUOTA;
	if (status == ACCESS_OK) {
		writer_usage_add(r, m->to.account, octets);
		c.account = m->at.account;
		c.from = m->at.mailbox;
		c.to = m->to.mailbox;
		struct buf who = BUF_INIT(MAIL_WHO_MAX);
		c.uids = uids;
		c.by = by_whom(m, &who);
		mail_copy(r->store, &c, mail_changed, m);
		buf_done(&who);
	}
	free(uids);
	return status;
}

/* --- APPEND --- */

struct appending {
	struct mail_append letter[ACCESS_LETTERS_MAX];
	struct str keyword[ACCESS_LETTERS_MAX][ACCESS_KEYWORDS];
	struct body *body[ACCESS_LETTERS_MAX];
	size_t n;
	uint64_t octets;
};

/* Whose bodies are these? A front that died has none any more. */
static struct body *
body_of(struct mail_change *m, uint64_t id)
{
	return m->front->life == m->life ? writer_body_find(m->front, id) : NULL;
}

static enum access_status
check_letter(struct mail_change *m, struct appending *a, const struct access_new *l)
{
	struct body *b = body_of(m, l->id);
	for (size_t i = 0; i < a->n; i++)
		if (a->body[i] == b)
			return ACCESS_BAD;
	/* It went to a former life of ours, or came over the cap. */
	if (!b || !b->store)
		return b && b->why == ACCEPT_FULL ? ACCESS_FULL : ACCESS_FAILED;
	if (store_body_size(b->store) != l->size || l->header_len > l->size || b->views)
		return ACCESS_BAD;
	a->body[a->n] = b;
	a->letter[a->n] = (struct mail_append){
		.letter = l->id,
		.time_ms = l->time_ms,
		.flags = l->flags,
		.keywords = a->keyword[a->n],
		.n_keywords = keywords_of(l->keywords, a->keyword[a->n]),
		.header_len = l->header_len,
		.outline = l->outline,
	};
	a->octets += l->size;
	a->n++;
	return ACCESS_OK;
}

static enum access_status
check_letters(struct mail_change *m, struct appending *a)
{
	struct wire w = wire_of(m->c.letters);
	enum access_status status = m->c.n_letters ? ACCESS_OK : ACCESS_BAD;
	struct access_new l;
	while (status == ACCESS_OK && a->n < m->c.n_letters) {
		if (!access_new_get(&w, &l))
			return ACCESS_BAD;
		status = check_letter(m, a, &l);
	}
	return status;
}

static void
drop_letters(struct mail_change *m)
{
	struct wire w = wire_of(m->c.letters);
	struct access_new l;
	for (size_t i = 0; i < m->c.n_letters && access_new_get(&w, &l); i++)
		if (body_of(m, l.id))
			writer_body_drop(m->front, l.id);
}

static void
hand_over(struct mail_change *m, struct appending *a)
{
	struct store_role *r = m->role;
	struct buf history = BUF_INIT(HISTORY_MAX);
	buf_putf(&history, "appended to " STR_FMT, STR_ARG(m->c.name));
	if (m->address.len)
		buf_putf(&history, " by " STR_FMT, STR_ARG(m->address));
	if (m->peer.len)
		buf_putf(&history, " from " STR_FMT, STR_ARG(m->peer));
	buf_putc(&history, '\n');
	for (size_t i = 0; i < a->n; i++) {
		struct store_views *views;
		m->memory += a->body[i]->memory;
		a->letter[i].body = writer_body_take(a->body[i], &views);
		a->letter[i].history = buf_str(&history);
		a->letter[i].session = m->session;
		a->letter[i].address = m->address;
		check(!views);
	}
	r->body_memory += m->memory;
	writer_usage_add(r, m->to.account, a->octets);
	mail_append(r->store, m->to.account, m->to.mailbox, a->letter, a->n,
	    (uint64_t)sys_wall_ms(), STORE_APPLIED, mail_changed, m);
	buf_done(&history);
}

static enum access_status
append(struct mail_change *m)
{
	struct appending *a = xalloc(sizeof(*a));
	enum access_status status = door_into(m);
	if (status == ACCESS_OK)
		status = check_letters(m, a);
	if (status == ACCESS_OK && m->role->state.low)
		status = ACCESS_FULL;
	if (status == ACCESS_OK && !writer_has_room(m->role, m->to.account, a->octets))
		status = ACCESS_OVERQUOTA;
	if (status == ACCESS_OK)
		hand_over(m, a);
	else
		drop_letters(m);
	free(a);
	return status;
}

/* --- names --- */

static const struct {
	unsigned access, store;
} uses[] = {
	{ ACCESS_ALL, MAIL_USE_ALL },
	{ ACCESS_ARCHIVE, MAIL_USE_ARCHIVE },
	{ ACCESS_DRAFTS, MAIL_USE_DRAFTS },
	{ ACCESS_FLAGGED_BOX, MAIL_USE_FLAGGED },
	{ ACCESS_JUNK, MAIL_USE_JUNK },
	{ ACCESS_SENT, MAIL_USE_SENT },
	{ ACCESS_TRASH, MAIL_USE_TRASH },
};

static enum access_status
create(struct mail_change *m)
{
	uint32_t special = 0;
	enum access_status status = entry_may(m->who, m->c.name, ENTRY_CREATE, &m->account);
	if (status != ACCESS_OK)
		return status;
	for (size_t i = 0; i < ARRAY_LEN(uses); i++)
		if (m->c.attrs & uses[i].access)
			special |= uses[i].store;
	mail_create(m->role->store, m->account, m->c.name, special, mail_changed, m);
	return ACCESS_OK;
}

static enum access_status
delete_mailbox(struct mail_change *m)
{
	enum access_status status = entry_may(m->who, m->c.name, ENTRY_DELETE, &m->account);
	if (status == ACCESS_OK)
		mail_delete(m->role->store, m->account, m->c.name, mail_changed, m);
	return status;
}

static enum access_status
rename_to(struct mail_change *m)
{
	uint64_t other;
	enum access_status status = entry_may(m->who, m->c.name, ENTRY_DELETE, &m->account);
	if (status == ACCESS_OK)
		status = entry_may(m->who, m->c.to, ENTRY_CREATE, &other);
	if (status == ACCESS_OK && other != m->account)
		status = ACCESS_CANNOT;
	if (status == ACCESS_OK)
		mail_rename(m->role->store, m->account, m->c.name, m->c.to, mail_changed, m);
	return status;
}

static enum access_status
subscribe(struct mail_change *m)
{
	enum access_status status = entry_may(m->who, m->c.name, ENTRY_LOOKUP, &m->account);
	if (status == ACCESS_OK)
		mail_subscribe(m->role->store, m->account, m->c.name, m->c.kind == ACCESS_SUBSCRIBE,
		    mail_changed, m);
	return status;
}

static enum access_status
url_key(struct mail_change *m)
{
	struct store_role *r = m->role;
	if (m->c.mode == ACCESS_REMOVE) {
		mail_forget_url_keys(r->store, m->who, mail_changed, m);
		return ACCESS_OK;
	}
	enum access_status status = door(m, ENTRY_READ);
	if (m->c.name.len)
		status =
		    entry_by_name(r->store, &r->entries, m->who, m->c.name, ENTRY_READ, &m->at);
	if (status == ACCESS_OK)
		mail_make_url_key(r->store, m->at.account, m->at.mailbox,
		    m->c.mode == ACCESS_REPLACE, mail_changed, m);
	return status;
}

/* --- OUTLINES --- */

/* Which letters these are; those that are gone are left out. */
static int
find_letters(struct mail_change *m, struct mail_outline *o, size_t *n)
{
	const struct store_dom dom = store_dom_mailbox(m->at.account, m->at.mailbox);
	struct wire w = wire_of(m->c.letters);
	struct mailbox_letter there;
	struct access_new l;
	struct store_snap *sn;
	int rc = store_snap_open(m->role->store, &dom, &sn, NULL);
	writer_check(rc);
	if (rc < 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < m->c.n_letters && access_new_get(&w, &l); i++) {
		rc = l.outline.len ? mailbox_find(sn, (uint32_t)l.id, &there) : -ENOENT;
		if (rc == 0)
			o[(*n)++] = (struct mail_outline){ there.uid, there.letter, l.outline };
		rc = rc == -ENOENT ? 0 : rc;
	}
	store_snap_close(sn);
	return rc;
}

static enum access_status
outlines(struct mail_change *m)
{
	struct mail_outline o[ACCESS_LETTERS_MAX];
	size_t n = 0;
	enum access_status status = door(m, ENTRY_READ);
	if (status == ACCESS_OK && find_letters(m, o, &n) < 0)
		status = ACCESS_FAILED;
	if (status != ACCESS_OK)
		return status;
	mail_put_outlines(m->role->store, m->at.account, m->at.mailbox, o, n, mail_changed, m);
	return ACCESS_OK;
}

/* --- all --- */

/* Each hands the change to the engine, or says why not. */
static enum access_status (*const kinds[ACCESS_CHANGE_COUNT])(struct mail_change *m) = {
	[ACCESS_FLAGS] = change_flags,
	[ACCESS_EXPUNGE] = expunge,
	[ACCESS_COPY] = copy,
	[ACCESS_MOVE] = copy,
	[ACCESS_APPEND] = append,
	[ACCESS_CREATE] = create,
	[ACCESS_DELETE] = delete_mailbox,
	[ACCESS_RENAME] = rename_to,
	[ACCESS_SUBSCRIBE] = subscribe,
	[ACCESS_UNSUBSCRIBE] = subscribe,
	[ACCESS_OUTLINES] = outlines,
	[ACCESS_KEY] = url_key,
};

static void
begin(struct mail_change *m)
{
	list_del(&m->node);
	list_add_tail(&m->role->mail, &m->node);
	enum access_status status = kinds[m->c.kind](m);
	if (status != ACCESS_OK)
		mail_change_end(m, status, NULL);
}

void
writer_mail_swept(struct store_role *r)
{
	r->sweeping = false;
	while (!list_empty(&r->held) && !r->settling)
		begin(list_entry(r->held.next, struct mail_change, node));
}

void
writer_mail_done(struct store_role *r)
{
	list_each(n, &r->held)
	{
		struct mail_change *m = list_entry(n, struct mail_change, node);
		if (m->c.kind == ACCESS_APPEND)
			drop_letters(m);
		mail_change_end(m, ACCESS_FAILED, NULL);
	}
	check(list_empty(&r->mail));
}

static enum access_status
may_begin(struct mail_change *m, const struct msg_access_change *in)
{
	struct store_role *r = m->role;
	struct str octets = str_n(m->octets, in->change.len);
	if (!access_change_get(octets, &m->c))
		return ACCESS_BAD;
	if (pass_good(&r->passes, m->front->index, m->who, in->pass.mac) &&
	    map_get(&r->accounts, id_key(&m->who)))
		return ACCESS_OK;
	LOG(LOG_WARN, 0, "pass-refused", LOGN("front", m->front->index), LOGN("account", m->who));
	if (m->c.kind == ACCESS_APPEND)
		drop_letters(m);
	return ACCESS_DENIED;
}

/* It becomes part of a line of `trace`. */
static bool
may_be_shown(struct str address)
{
	for (size_t i = 0; i < address.len; i++)
		if ((unsigned char)address.p[i] < 0x20)
			return false;
	return address.len > 0;
}

static struct str
keep(char **end, struct str s)
{
	struct str kept = { *end, s.len };
	if (s.len)
		memcpy(*end, s.p, s.len);
	*end += s.len;
	return kept;
}

bool
writer_mail_change(struct front_peer *f, uint64_t id, struct str body)
{
	struct store_role *r = f->role;
	struct msg_access_change in;
	if (!msg_access_change_get(body, &in))
		return false;
	struct mail_change *m =
	    xalloc(sizeof(*m) + in.change.len + in.address.len + in.peer.len + 1);
	char *end = m->octets;
	m->role = r;
	m->front = f;
	m->life = f->life;
	m->id = id;
	m->who = in.pass.account;
	m->session = in.session;
	f->n_changes++;
	(void)keep(&end, in.change); /* at the begin of octets */
	if (may_be_shown(in.address))
		m->address = keep(&end, in.address);
	if (may_be_shown(in.peer))
		m->peer = keep(&end, in.peer);
	list_init(&m->node);
	/* So many may wait for a slow disk, and nothing is wrong with a front that asks for one
	 * more. */
	bool many = f->n_changes > MSG_CHANGES_MAX;
	enum access_status status = many ? ACCESS_FAILED : may_begin(m, &in);
	if (status != ACCESS_OK)
		mail_change_end(m, status, NULL);
	else if (r->sweeping)
		list_add_tail(&r->held, &m->node);
	else
		begin(m);
	return true;
}
