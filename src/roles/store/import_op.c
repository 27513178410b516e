/*
 * import.open, import.marks, import.forget, import.letters: letters that the command line puts
 * into a mailbox, a pack of them with each question.
 *
 * Each letter is appended with a mark of its job ("I|job", or "I|job|key"), so the same pack may
 * come twice, or be cut short anywhere, without a letter being lost or stored twice. What the
 * engine holds of a pack at a time is bounded; its completions fetch the rest.
 */
#include "roles/store/change.h"

#include "access/name.h"
#include "access/name.h"
#include "base/num.h"
#include "base/wire.h"
#include "ipc/pack.h"
#include "log/log.h"
#include "roles/store/text.h"
#include "store/mailbox.h"
#include "sys/clock.h"
#include "sys/file.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define WINDOW_LETTERS 1024
#define WINDOW_BYTES (8u << 20)
#define STEP_BYTES (1u << 20) /* of a large letter, in one turn */
#define MARKS_SLICE 5000
#define JOB_LEN 16
#define ID_ROLE 0x3ffu /* in an id, where a front has its number */
#define ID_SEQ_MAX 0xfffu
#define HISTORY_MAX (8u << 10)

struct import {
	struct list node; /* role->imports */
	struct store_role *role;
	struct desk_ask *ask;
	uint64_t account;
	uint32_t mailbox;
	char *name;      /* of the mailbox, or the source */
	struct buf mark; /* "I|job", or empty */

	struct str map; /* the pack */
	struct wire left;
	struct pack_letter letter; /* while it has a body */
	struct store_body *body;
	uint64_t body_id, written; /* octets of it in the body */
	struct loop_timer *next_turn;
	size_t n_sent, n_octets; /* with the engine */
	uint64_t letters, octets, known;
	int rc;
	bool over;

	struct buf last, keys; /* marks: where the next slice begins; what this one has */
	struct buf position;
	uint32_t n_keys;
};

/* A letter that is with the engine. */
struct sent {
	struct import *import;
	size_t octets;
	uint64_t memory; /* a large one is in a file */
	bool keyed;
};

static struct import *
import_new(struct store_role *r, struct desk_ask *a)
{
	struct import *i = xalloc(sizeof(*i));
	*i = (struct import){ .role = r,
		.ask = a,
		.mark = BUF_INIT(STORE_KEY_MAX),
		.last = BUF_INIT(STORE_KEY_MAX),
		.position = BUF_INIT(PACK_MARK_MAX),
		.keys = BUF_INIT(MARKS_SLICE * PACK_KEY_LEN) };
	list_add_tail(&r->imports, &i->node);
	return i;
}

/* Its answer is sent. */
static void
import_free(struct import *i)
{
	list_del(&i->node);
	loop_timer_free(i->next_turn);
	store_body_free(i->body);
	memfd_unmap(i->map);
	free(i->name);
	buf_done(&i->mark);
	buf_done(&i->last);
	buf_done(&i->position);
	buf_done(&i->keys);
	free(i);
}

#define REFUSE(i, code, ...)                                                                       \
	do {                                                                                       \
		desk_done((i)->ask, code, __VA_ARGS__);                                            \
		import_free(i);                                                                    \
	} while (0)

void
writer_imports_done(struct store_role *r)
{
	list_each(n, &r->imports)
	{
		struct import *i = list_entry(n, struct import, node);
		REFUSE(i, CTL_FAILED,
		    "the server stops; run the same command again when it is back");
	}
}

/* --- open --- */

static void
opened(void *arg, const struct store_res *res)
{
	struct import *i = arg;
	char num[3][TEXT_NUM];
	writer_check(res->rc);
	entries_forget(&i->role->entries, i->account);
	if (res->rc < 0 && res->rc != -EEXIST) {
		REFUSE(i, CTL_FAILED, "mailbox \"%s\" cannot be made: %s", i->name,
		    res->rc == -E2BIG ? "its name is too long, or there are too many"
				      : strerror(-res->rc));
		return;
	}
	const struct str row[] = {
		text_u64(num[0], i->account),
		text_u64(num[1], res->slot[0]),
		text_u64(num[2], res->rc == 0),
	};
	desk_row(i->ask, row, ARRAY_LEN(row));
	REFUSE(i, CTL_OK, "%s", "");
}

/* 0, or -ENOENT: there is no such user. */
static int
find_account(struct import *i, const char *address)
{
	const struct store_dom dom = store_dom_directory();
	struct store_snap *sn;
	struct str value;
	int rc = store_snap_open(i->role->store, &dom, &sn, NULL);
	if (rc < 0)
		return rc;
	rc = names_get(sn, 'u', str_of(address), &value);
	if (rc == 0 && !names_account_get(value, &i->account))
		rc = -EBADMSG;
	store_snap_close(sn);
	return rc;
}

static int
find_mailbox(struct import *i)
{
	const struct store_dom dom = store_dom_account(i->account);
	struct buf key = BUF_INIT(STORE_KEY_MAX);
	struct store_snap *sn;
	struct str value;
	if (str_ieq(str_of(i->name), STR("INBOX")))
		return 0;
	buf_putf(&key, "N|%s", i->name);
	int rc = key.failed ? -ENOENT : store_snap_open(i->role->store, &dom, &sn, NULL);
	if (rc == 0) {
		rc = store_get(sn, buf_str(&key), &value);
		store_snap_close(sn);
	}
	buf_done(&key);
	return rc;
}

/* Control characters would only ever hide something. */
static bool
good_name(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return s.len > 0 && s.len <= MAILBOX_NAME_STORED_MAX;
}

void
writer_op_import_open(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	struct import *i = import_new(arg, a);
	char address[NAME_MAX_FOLDED];
	if (!names_user(m->arg[0], address, sizeof(address))) {
		REFUSE(i, CTL_INVALID, "\"" STR_FMT "\" is no address; write local-part@domain",
		    STR_ARG(str_first(m->arg[0], 256)));
		return;
	}
	if (!good_name(m->arg[1])) {
		REFUSE(i, CTL_INVALID,
		    "a mailbox's name has 1 to %u octets and no control characters",
		    MAILBOX_NAME_STORED_MAX);
		return;
	}
	i->name = str_dup(m->arg[1]);
	int rc = find_account(i, address);
	writer_check(rc);
	if (rc == -ENOENT) {
		REFUSE(i, CTL_NOT_FOUND,
		    "there is no user %s; `pennypost user list` shows who there is", address);
		return;
	}
	if (rc == 0)
		rc = find_mailbox(i);
	writer_check(rc);
	if (rc == -ENOENT && !str_eq(m->arg[2], STR("1"))) {
		REFUSE(i, CTL_NOT_FOUND,
		    "%s has no mailbox \"%s\"; make it with --create, or `pennypost mailbox list "
		    "%s` shows those there are",
		    address, i->name, address);
		return;
	}
	const char *why = rc == -ENOENT ? name_check(m->arg[1]) : NULL;
	if (why) {
		REFUSE(i, CTL_INVALID, "%s", why);
		return;
	}
	if (rc < 0 && rc != -ENOENT) {
		REFUSE(i, CTL_FAILED, "the mailboxes of %s cannot be read: %s", address,
		    strerror(-rc));
		return;
	}
	/* One that is there may lack its header, when the end of a life of ours came between. */
	mailbox_create(i->role->store, i->account, str_of(i->name), opened, i);
}

/* --- the arguments of the others: ACCOUNT MAILBOX JOB --- */

static bool
job_get(struct str s, struct buf *mark)
{
	buf_putz(mark, "I|");
	for (size_t i = 0; i < 2 * JOB_LEN; i += 2) {
		uint64_t v;
		if (s.len != 2 * JOB_LEN || !num_hex(str_first(str_skip(s, i), 2), &v))
			return false;
		buf_putc(mark, (char)(unsigned char)v);
	}
	return true;
}

static struct import *
import_begin(struct store_role *r, struct desk_ask *a, const struct msg_ask *m, bool needs_job)
{
	struct import *i = import_new(r, a);
	uint64_t mailbox;
	if (!num_u64(m->arg[0], UINT64_MAX, &i->account) ||
	    !num_u64(m->arg[1], UINT32_MAX, &mailbox) ||
	    ((needs_job || m->arg[2].len) && !job_get(m->arg[2], &i->mark))) {
		REFUSE(i, CTL_INVALID, "malformed arguments; use `pennypost mailbox import`");
		return NULL;
	}
	i->mailbox = (uint32_t)mailbox;
	if (!map_get(&r->accounts, id_key(&i->account))) {
		REFUSE(i, CTL_NOT_FOUND, "the user was removed meanwhile");
		return NULL;
	}
	return i;
}

/* --- marks --- */

static bool
take_mark(void *arg, struct str key, struct str value)
{
	struct import *i = arg;
	struct str rest = str_skip(key, i->mark.len);
	buf_reset(&i->last);
	buf_puts(&i->last, key);
	i->n_keys++;
	if (rest.len == 0)
		buf_puts(&i->position, str_first(value, PACK_MARK_MAX));
	else if (rest.len == 1 + PACK_KEY_LEN)
		buf_puts(&i->keys, str_skip(rest, 1));
	return true;
}

static int
marks_slice(struct import *i)
{
	const struct store_dom dom = store_dom_mailbox(i->account, i->mailbox);
	struct store_snap *sn;
	struct buf from = BUF_INIT(STORE_KEY_MAX), to = BUF_INIT(STORE_KEY_MAX);
	int rc = store_snap_open(i->role->store, &dom, &sn, NULL);
	writer_check(rc);
	if (rc < 0)
		return rc;
	buf_puts(&from, i->last.len ? buf_str(&i->last) : buf_str(&i->mark));
	if (i->last.len)
		buf_putc(&from, 0); /* behind that one */
	buf_puts(&to, buf_str(&i->mark));
	buf_putc(&to, '|' + 1);
	i->n_keys = 0;
	buf_reset(&i->keys);
	buf_reset(&i->position);
	rc = store_scan(sn, buf_str(&from), buf_str(&to), MARKS_SLICE, false, take_mark, i);
	store_snap_close(sn);
	buf_done(&from);
	buf_done(&to);
	return rc;
}

static void
marks_step(void *arg)
{
	struct import *i = arg;
	if (!desk_gone(i->ask) && desk_full(i->ask)) {
		desk_on_room(i->ask, marks_step, i);
		return;
	}
	int rc = desk_gone(i->ask) ? -EPIPE : marks_slice(i);
	if (rc < 0) {
		REFUSE(i, CTL_FAILED, "the marks of the import cannot be read: %s", strerror(-rc));
		return;
	}
	const struct str row[] = { buf_str(&i->position), buf_str(&i->keys) };
	if (i->n_keys)
		desk_row(i->ask, row, ARRAY_LEN(row));
	if (i->n_keys == MARKS_SLICE)
		loop_timer_set(i->next_turn, 0, 0);
	else
		REFUSE(i, CTL_OK, "%s", "");
}

void
writer_op_import_marks(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	struct import *i = import_begin(arg, a, m, true);
	if (!i)
		return;
	i->next_turn = loop_timer_new(i->role->loop, marks_step, i);
	marks_step(i);
}

/* --- forget --- */

static void
forgotten(void *arg, const struct store_res *res)
{
	struct import *i = arg;
	writer_check(res->rc);
	if (res->rc < 0)
		REFUSE(i, CTL_FAILED, "the marks of the import cannot be removed: %s",
		    strerror(-res->rc));
	else
		REFUSE(i, CTL_OK, "%s", "");
}

void
writer_op_import_forget(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	struct import *i = import_begin(arg, a, m, true);
	if (i)
		mailbox_forget_marks(i->role->store, i->account, i->mailbox, buf_str(&i->mark),
		    forgotten, i);
}

/* --- letters --- */

static uint64_t
next_id(struct store_role *r)
{
	uint64_t ms = (uint64_t)sys_wall_ms();
	if (ms > r->import_ms) {
		r->import_ms = ms;
		r->import_seq = 0;
	} else if (++r->import_seq > ID_SEQ_MAX) {
		r->import_ms++;
		r->import_seq = 0;
	}
	return r->import_ms << 22 | (uint64_t)ID_ROLE << 12 | r->import_seq;
}

static void
letters_over(struct import *i)
{
	char num[3][TEXT_NUM];
	const struct str row[] = {
		text_u64(num[0], i->letters),
		text_u64(num[1], i->octets),
		text_u64(num[2], i->known),
	};
	desk_row(i->ask, row, ARRAY_LEN(row));
	if (i->rc == -EAGAIN)
		REFUSE(i, CTL_EXISTS,
		    "another import of the same source into this mailbox is under way; let it end, "
		    "then run the same command again");
	else if (i->rc == -ENOENT)
		REFUSE(i, CTL_NOT_FOUND, "the mailbox was removed meanwhile");
	else if (i->rc == -ENOSPC || i->rc == -EDQUOT)
		REFUSE(i, CTL_FAILED,
		    "the disk of the server is full; make room, then run the same command again");
	else if (i->rc < 0)
		REFUSE(i, CTL_FAILED, "a letter could not be stored: %s", strerror(-i->rc));
	else if (i->left.bad)
		REFUSE(i, CTL_INVALID,
		    "malformed letters; are command and server of the same version?");
	else if (i->left.left || i->body)
		REFUSE(i, CTL_FAILED,
		    "the server stops; run the same command again when it is back");
	else
		REFUSE(i, CTL_OK, "%s", "");
}

static void letters_step(void *arg);

static void
appended(void *arg, const struct store_res *res)
{
	struct sent *s = arg;
	struct import *i = s->import;
	writer_check(res->rc);
	i->n_sent--;
	i->n_octets -= s->octets;
	i->role->body_memory -= s->memory;
	if (res->rc == 0) {
		i->letters++;
		i->octets += s->octets;
	} else if (res->rc == -EAGAIN && s->keyed) {
		i->known++;
	} else if (i->rc == 0) {
		i->rc = res->rc;
	}
	free(s);
	letters_step(i);
}

static void
append(struct import *i)
{
	const struct pack_letter *l = &i->letter;
	struct buf mark = BUF_INIT(STORE_KEY_MAX), history = BUF_INIT(HISTORY_MAX);
	struct sent *s = xalloc(sizeof(*s));
	*s = (struct sent){ i, l->octets.len, store_body_memory(i->body), l->key.len > 0 };
	buf_puts(&mark, buf_str(&i->mark));
	if (i->mark.len && l->key.len) {
		buf_putc(&mark, '|');
		buf_puts(&mark, l->key);
	}
	buf_putf(&history, "imported from %s, " STR_FMT "\n", i->name, STR_ARG(l->where));
	struct mailbox_append a = {
		.account = i->account,
		.mailbox = i->mailbox,
		.letter = i->body_id,
		.time_ms = l->time_ms,
		.flags = l->flags,
		.header_len = l->header_len,
		.now_ms = (uint64_t)sys_wall_ms(),
		.history = history.failed ? STR("imported\n") : buf_str(&history),
		.mark = buf_str(&mark),
		.was = l->there ? str_n(l->was.p ? l->was.p : "", l->was.len) : STR_NULL,
		.value = l->value,
	};
	struct store_body *body = i->body;
	i->body = NULL;
	i->n_sent++;
	i->n_octets += s->octets;
	i->role->body_memory += s->memory;
	writer_usage_add(i->role, i->account, s->octets);
	mailbox_append(i->role->store, body, &a, STORE_DURABLE, appended, s);
	buf_done(&mark);
	buf_done(&history);
}

/* Takes the next letter, or a piece of it; false when there is nothing to do now. */
static bool
take_letter(struct import *i)
{
	if (i->rc < 0 || i->role->settling || desk_gone(i->ask) || i->n_sent >= WINDOW_LETTERS ||
	    i->n_octets >= WINDOW_BYTES)
		return false;
	if (!i->body) {
		if (!pack_next(&i->left, &i->letter))
			return false;
		i->body_id = next_id(i->role);
		i->body = store_body_new(i->role->store, i->body_id);
		i->written = 0;
	}
	struct str rest = str_first(str_skip(i->letter.octets, i->written), STEP_BYTES);
	/* A failure stays with the body, and the append tells it. */
	(void)store_body_write(i->body, rest);
	i->written += rest.len;
	if (i->written == i->letter.octets.len)
		append(i);
	return true;
}

static void
letters_step(void *arg)
{
	struct import *i = arg;
	uint64_t octets = 0;
	while (octets < WINDOW_BYTES && take_letter(i))
		octets += i->body ? WINDOW_BYTES : i->letter.octets.len;
	if (i->body && octets > 0)
		loop_timer_set(i->next_turn, 0, 0); /* others first */
	else if (i->n_sent == 0)
		letters_over(i);
}

void
writer_op_import_letters(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	struct import *i = import_begin(arg, a, m, false);
	if (!i)
		return;
	int fd = desk_take_fd(a);
	int rc = memfd_map(fd, PACK_BYTES_MAX, &i->map);
	close(fd);
	if (rc < 0 || !pack_open(i->map, &i->left)) {
		REFUSE(i, CTL_INVALID,
		    "malformed letters; are command and server of the same version?");
		return;
	}
	if (i->role->state.low) {
		REFUSE(i, CTL_FAILED,
		    "the disk of the server is nearly full (limit.disk_low); make room, then run "
		    "the same command again");
		return;
	}
	if (i->role->life.draining) {
		REFUSE(i, CTL_FAILED,
		    "the server stops; run the same command again when it is back");
		return;
	}
	i->name = str_dup(str_first(m->arg[3], 1024));
	i->next_turn = loop_timer_new(i->role->loop, letters_step, i);
	letters_step(i);
}
