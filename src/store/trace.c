/* trace_find: the history of letters, from the log alone. */
#include "store/mailbox.h"

#include "base/check.h"
#include "base/num.h"
#include "log/log.h"
#include "store/logread.h"
#include "store/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct search {
	struct str id;   /* as given: a queue id matches as it is */
	uint64_t number; /* of the 13-character form */
	bool is_number;
	trace_fn *fn;
	void *arg;
	bool stopped;
};

static bool
matches(const struct search *s, const struct trace_payload *t)
{
	return str_eq(t->qid, s->id) ||
	       (s->is_number && (t->letter == s->number || t->session == s->number));
}

static int
look_at(struct search *s, struct logread *r, const struct frame *f)
{
	struct str payload;
	struct trace_payload t;
	int rc = logread_payload(r, f, &payload);
	/* One damaged history must not hide the others. */
	if (rc == -EBADMSG || (rc == 0 && !trace_payload_get(payload, &t)))
		return 0;
	if (rc < 0)
		return rc;
	if (matches(s, &t))
		s->stopped = !s->fn(s->arg, &(struct trace_record){ .letter = t.letter,
						.session = t.session,
						.time_ms = t.time_ms,
						.qid = t.qid,
						.from = t.from,
						.history = t.history,
						.rcpts = t.rcpts,
						.kind = t.kind,
						.message_id = t.message_id,
						.peer = t.peer });
	return 0;
}

static int
search_segment(struct search *s, int log, uint64_t seq)
{
	struct logread r;
	int rc = logread_open(&r, log, seq, 0);
	while (rc == 0 && !s->stopped) {
		struct frame f;
		enum frame_state state;
		rc = logread_head(&r, &f, &state);
		if (rc < 0 || state != FRAME_OK || f.type == FRAME_END)
			break;
		if (f.type == FRAME_TRACE)
			rc = look_at(s, &r, &f);
		logread_next(&r, &f);
	}
	logread_close(&r);
	/* It was freed since the list was made. */
	return rc == -ENOENT || rc == -EBADMSG ? 0 : rc;
}

static int
log_dir(const char *dir)
{
	int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return -errno;
	int log = openat(at, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = log < 0 ? -errno : log;
	close(at);
	return r;
}

static int
search_slice(struct search *s, const char *dir, uint64_t *seq)
{
	uint64_t *seqs = NULL;
	size_t n = 0, i = 0;
	int log = log_dir(dir);
	if (log < 0)
		return log;
	int r = seg_list(log, &seqs, &n);
	while (r == 0 && i < n && seqs[i] < *seq)
		i++;
	if (r == 0 && i < n)
		r = search_segment(s, log, seqs[i]);
	*seq = r == 0 && i + 1 < n && !s->stopped ? seqs[i + 1] : 0;
	free(seqs);
	close(log);
	return r;
}

/* A letter's id as IMAP shows it (RFC 8474): M and 16 hexadecimal digits. */
static bool
emailid_parse(struct str id, uint64_t *ret)
{
	return id.len == 17 && id.p[0] == 'M' && num_hex(str_skip(id, 1), ret);
}

int
trace_find_slice(const char *dir, struct str id, uint64_t *seq, trace_fn *fn, void *arg)
{
	struct search s = { .id = id, .fn = fn, .arg = arg };
	s.is_number = id_parse(id, &s.number) || emailid_parse(id, &s.number);
	return search_slice(&s, dir, seq);
}

int
trace_find(const char *dir, struct str id, trace_fn *fn, void *arg)
{
	uint64_t seq = 1;
	int r = 0;
	while (r == 0 && seq)
		r = trace_find_slice(dir, id, &seq, fn, arg);
	return r;
}
