/* mailbox.list, mailbox.show, mailbox.read, mailbox.export. */
#include "base/num.h"
#include "log/log.h"
#include "roles/store/letters.h"
#include "roles/store/names.h"
#include "roles/store/reader_priv.h"
#include "roles/store/text.h"
#include "store/mail.h"

#include <errno.h>
#include <stdlib.h>

#define NAMES_MAX 10000 /* mailboxes of one account */

struct job_names {
	size_t n, at;
	struct {
		uint32_t mailbox, special;
		bool subscribed;
		char *name;
	} row[NAMES_MAX];
};

static enum job_step
cannot_read(struct job *j, int rc)
{
	return reader_job_end(j, CTL_FAILED,
	    "the mail of %s cannot be read: %s; `pennypost fsck` looks for damage", j->arg[0],
	    strerror(-rc));
}

/* --- finding the mailbox --- */

static enum job_step
find_account(struct job *j)
{
	const struct store_dom dom = store_dom_directory();
	struct store_snap *sn;
	struct str value;
	uint64_t ver;
	char name[NAME_MAX_FOLDED];
	if (!names_user(str_of(j->arg[0]), name, sizeof(name)))
		return reader_job_end(j, CTL_INVALID,
		    "\"%s\" is no address; write local-part@domain", j->arg[0]);
	int rc = store_snap_open(j->reader->store, &dom, &sn, &ver);
	if (rc < 0)
		return cannot_read(j, rc);
	rc = names_get(sn, 'u', str_of(name), &value);
	if (rc == 0 && !names_account_get(value, &j->account))
		rc = -EBADMSG;
	store_snap_close(sn);
	if (rc == -ENOENT)
		return reader_job_end(j, CTL_NOT_FOUND,
		    "there is no user %s; `pennypost user list` shows who there is", name);
	return rc < 0 ? cannot_read(j, rc) : JOB_MORE;
}

static bool
keep_name(void *arg, const struct mail_name *m)
{
	struct job_names *names = arg;
	if (!m->exists || m->mailbox == 0)
		return true;
	names->row[names->n].mailbox = m->mailbox;
	names->row[names->n].special = m->special;
	names->row[names->n].subscribed = m->subscribed;
	names->row[names->n].name = str_dup(m->name);
	return ++names->n < NAMES_MAX;
}

static enum job_step
find_names(struct job *j)
{
	if (find_account(j) == JOB_OVER)
		return JOB_OVER;
	const struct store_dom dom = store_dom_account(j->account);
	struct store_snap *sn;
	uint64_t ver;
	j->names = xalloc(sizeof(*j->names));
	int rc = store_snap_open(j->reader->store, &dom, &sn, &ver);
	if (rc < 0)
		return cannot_read(j, rc);
	rc = mail_each_name(sn, keep_name, j->names);
	store_snap_close(sn);
	return rc < 0 ? cannot_read(j, rc) : JOB_MORE;
}

/* INBOX in any case, other names as they are (RFC 9051 5.1). */
static bool
is_name(const char *name, const char *wanted)
{
	return strcmp(name, wanted) == 0 ||
	       (str_ieq(str_of(name), STR("INBOX")) && str_ieq(str_of(wanted), STR("INBOX")));
}

static enum job_step
find_mailbox(struct job *j)
{
	if (find_names(j) == JOB_OVER)
		return JOB_OVER;
	for (size_t i = 0; i < j->names->n; i++) {
		if (!is_name(j->names->row[i].name, j->arg[1]))
			continue;
		j->mailbox = j->names->row[i].mailbox;
		j->next_uid = 1;
		j->batch = reader_letters_new();
		return JOB_MORE;
	}
	return reader_job_end(j, CTL_NOT_FOUND,
	    "%s has no mailbox \"%s\"; `pennypost mailbox list %s` shows them", j->arg[0],
	    j->arg[1], j->arg[0]);
}

static void
free_state(struct job *j)
{
	for (size_t i = 0; j->names && i < j->names->n; i++)
		free(j->names->row[i].name);
	free(j->names);
	reader_letters_free(j->batch);
}

/* --- list --- */

static int
read_head(struct job *j, uint32_t mailbox, struct mailbox_head *ret)
{
	const struct store_dom dom = store_dom_mailbox(j->account, mailbox);
	struct store_snap *sn;
	uint64_t ver;
	int rc = store_snap_open(j->reader->store, &dom, &sn, &ver);
	if (rc < 0)
		return rc;
	rc = mailbox_head_read(sn, ret);
	store_snap_close(sn);
	if (rc == -ENOENT) { /* its account was made by a life of the writer that ended just then */
		*ret = (struct mailbox_head){ .uidnext = 1 };
		rc = 0;
	}
	return rc;
}

/* RFC 6154 2 */
static void
put_special(struct buf *out, uint32_t special)
{
	static const struct {
		uint32_t use;
		const char *word;
	} words[] = { { MAIL_USE_DRAFTS, "drafts" }, { MAIL_USE_SENT, "sent" },
		{ MAIL_USE_TRASH, "trash" }, { MAIL_USE_JUNK, "junk" },
		{ MAIL_USE_ARCHIVE, "archive" }, { MAIL_USE_ALL, "all" },
		{ MAIL_USE_FLAGGED, "flagged" }, { MAIL_USE_IMPORTANT, "important" } };
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (special & words[i].use)
			buf_putf(out, "%s%s", out->len ? " " : "", words[i].word);
}

static enum job_step
list_step(struct job *j)
{
	char num[6][TEXT_NUM];
	struct buf special = BUF_INIT(256);
	struct mailbox_head h;
	if (j->names->at == j->names->n)
		return reader_job_end(j, CTL_OK, "%s", "");
	size_t i = j->names->at++;
	int rc = read_head(j, j->names->row[i].mailbox, &h);
	if (rc < 0)
		return cannot_read(j, rc);
	put_special(&special, j->names->row[i].special);
	const struct str row[] = {
		str_of(j->names->row[i].name),
		text_u64(num[0], h.messages),
		text_u64(num[1], h.bytes),
		text_u64(num[2], h.uidnext),
		text_u64(num[3], h.uidvalidity),
		text_u64(num[4], h.modseq),
		text_u64(num[5], h.unseen),
		buf_str(&special),
		j->names->row[i].subscribed ? STR("yes") : STR("no"),
	};
	desk_row(j->ask, row, ARRAY_LEN(row));
	buf_done(&special);
	return JOB_MORE;
}

/* --- show --- */

/* The end of a walk: damaged letters do not hide the others, but are not passed over in silence. */
static enum job_step
end_walk(struct job *j)
{
	if (j->n_damaged == 0)
		return reader_job_end(j, CTL_OK, "%s", "");
	return reader_job_end(j, CTL_FAILED,
	    "%u letters of %s are damaged, the first is %u; `pennypost fsck` says more",
	    j->n_damaged, j->arg[0], j->first_damaged);
}

static void
note_damage(struct job *j, const struct letter *l)
{
	if (j->n_damaged++ == 0)
		j->first_damaged = l->meta.uid;
}

/* As a Maildir has them in its files' names. */
static struct str
flag_letters(uint64_t flags, char out[8])
{
	static const struct {
		uint32_t flag;
		char letter;
	} letters[] = { { MAILBOX_DRAFT, 'D' }, { MAILBOX_FLAGGED, 'F' }, { MAILBOX_ANSWERED, 'R' },
		{ MAILBOX_SEEN, 'S' }, { MAILBOX_DELETED, 'T' } };
	size_t n = 0;
	for (size_t i = 0; i < ARRAY_LEN(letters); i++)
		if (flags & letters[i].flag)
			out[n++] = letters[i].letter;
	return str_n(out, n);
}

static enum job_step
show_step(struct job *j)
{
	struct letter *l;
	int rc = reader_letters_next(j->reader->store, j, &l);
	if (rc == -ENOENT)
		return end_walk(j);
	if (rc < 0)
		return cannot_read(j, rc);
	struct letter_facts facts = { .from = BUF_INIT(LETTER_FIELD_MAX),
		.subject = BUF_INIT(LETTER_FIELD_MAX) };
	char num[3][TEXT_NUM], id[14], flags[8];
	int got = reader_letter_facts(j->reader->store, &l->meta, &facts);
	while (got == -ESTALE && (got = reader_letter_again(j->reader->store, j, l)) == 0) {
		buf_reset(&facts.from);
		buf_reset(&facts.subject);
		got = reader_letter_facts(j->reader->store, &l->meta, &facts);
	}
	if (got == -ENOENT) { /* it went just now */
		buf_done(&facts.from);
		buf_done(&facts.subject);
		return JOB_MORE;
	}
	if (got < 0)
		note_damage(j, l);
	id_format(id, l->meta.letter);
	const struct str row[] = {
		text_u64(num[0], l->meta.uid),
		text_u64(num[1], l->meta.time_ms),
		text_u64(num[2], l->meta.size),
		str_of(id),
		reader_return_path(&l->meta),
		buf_str(&facts.from),
		buf_str(&facts.subject),
		flag_letters(l->meta.flags, flags),
	};
	desk_row(j->ask, row, ARRAY_LEN(row));
	buf_done(&facts.from);
	buf_done(&facts.subject);
	return JOB_MORE;
}

/* --- read and export --- */

/* Puts the next chunk of l; 0, 1 at its end, or -errno. */
static int
put_chunk(struct job *j, struct letter *l, bool export)
{
	char chunk[LETTER_CHUNK];
	struct store *s = j->reader->store;
	ssize_t n = mailbox_letter_read(s, &l->meta, j->off, chunk, sizeof(chunk));
	/* The octets are the same wherever they stand. */
	while (n == -ESTALE && (n = reader_letter_again(s, j, l)) == 0)
		n = mailbox_letter_read(s, &l->meta, j->off, chunk, sizeof(chunk));
	if (n < 0)
		return (int)n;
	if (n == 0 && j->off < l->meta.size)
		return -EBADMSG;
	const struct str row[] = { STR("D"), str_n(chunk, (size_t)n) };
	if (n > 0)
		desk_row(j->ask, export ? row : row + 1, export ? 2 : 1);
	j->off += (uint64_t)n;
	return j->off >= l->meta.size;
}

static enum job_step
damaged(struct job *j, const struct letter *l, int rc)
{
	if (rc == -ENOENT)
		return reader_job_end(j, CTL_FAILED, "letter %u of %s was removed meanwhile",
		    l->meta.uid, j->arg[0]);
	return reader_job_end(j, CTL_FAILED,
	    "letter %u of %s is damaged: %s; `pennypost fsck` says more", l->meta.uid, j->arg[0],
	    strerror(-rc));
}

/* Is the body whole, wherever it is by now? */
static int
check_letter(struct job *j, struct letter *l)
{
	struct store *s = j->reader->store;
	int rc = store_ref_check(s, &l->meta.ref);
	while (rc == -ESTALE && (rc = reader_letter_again(s, j, l)) == 0)
		rc = store_ref_check(s, &l->meta.ref);
	return rc;
}

static enum job_step
read_begin(struct job *j)
{
	uint64_t uid;
	if (find_mailbox(j) == JOB_OVER)
		return JOB_OVER;
	if (!num_u64(str_of(j->arg[2]), UINT32_MAX, &uid) || uid == 0)
		return reader_job_end(j, CTL_INVALID,
		    "\"%s\" is no UID; `pennypost mailbox show %s` lists them", j->arg[2],
		    j->arg[0]);
	struct letter *l;
	j->next_uid = (uint32_t)uid;
	int rc = reader_letters_next(j->reader->store, j, &l);
	if (rc < 0 && rc != -ENOENT)
		return cannot_read(j, rc);
	if (rc == -ENOENT || l->meta.uid != uid)
		return reader_job_end(j, CTL_NOT_FOUND, "there is no letter %s in %s of %s",
		    j->arg[2], j->arg[1], j->arg[0]);
	rc = check_letter(j, l);
	return rc < 0 ? damaged(j, l, rc) : JOB_MORE;
}

static enum job_step
read_step(struct job *j)
{
	struct letter *l = reader_letters_at(j->batch);
	int rc = put_chunk(j, l, false);
	if (rc < 0)
		return damaged(j, l, rc);
	return rc == 0 ? JOB_MORE : reader_job_end(j, CTL_OK, "%s", "");
}

/* The next letter that is whole, and its "L" row. */
static enum job_step
export_next(struct job *j)
{
	struct letter *l;
	char num[3][TEXT_NUM], flags[8];
	int rc = reader_letters_next(j->reader->store, j, &l);
	if (rc == -ENOENT)
		return end_walk(j);
	if (rc < 0)
		return cannot_read(j, rc);
	rc = check_letter(j, l);
	if (rc < 0) {
		if (rc != -ENOENT)
			note_damage(j, l);
		reader_letters_over(j->batch);
		return JOB_MORE;
	}
	const struct str row[] = {
		STR("L"),
		text_u64(num[0], l->meta.uid),
		text_u64(num[1], l->meta.time_ms),
		text_u64(num[2], l->meta.size),
		reader_return_path(&l->meta),
		flag_letters(l->meta.flags, flags),
	};
	desk_row(j->ask, row, ARRAY_LEN(row));
	j->off = 0;
	return JOB_MORE;
}

static enum job_step
export_step(struct job *j)
{
	struct letter *l = reader_letters_at(j->batch);
	if (!l)
		return export_next(j);
	int rc = put_chunk(j, l, true);
	if (rc < 0)
		return damaged(j, l, rc);
	if (rc == 1)
		reader_letters_over(j->batch);
	return JOB_MORE;
}

static const struct job_kind list_kind = { find_names, list_step, free_state };
static const struct job_kind show_kind = { find_mailbox, show_step, free_state };
static const struct job_kind read_kind = { read_begin, read_step, free_state };
static const struct job_kind export_kind = { find_mailbox, export_step, free_state };

static void
op_list(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	reader_job_new(arg, a, m, &list_kind);
}

static void
op_show(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	reader_job_new(arg, a, m, &show_kind);
}

static void
op_read(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	reader_job_new(arg, a, m, &read_kind);
}

static void
op_export(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	reader_job_new(arg, a, m, &export_kind);
}

const struct desk_op reader_ops[] = {
	{ "mailbox.list", op_list, false },
	{ "mailbox.show", op_show, false },
	{ "mailbox.read", op_read, false },
	{ "mailbox.export", op_export, false },
	{ "trace", reader_op_trace, false },
	{ NULL, NULL, false },
};
