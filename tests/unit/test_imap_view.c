#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "imap_talk.h"

#define LETTER STR("Subject: x\r\n\r\nx\r\n")

struct kit {
	struct fake f;
	struct talk t;
};

/* Selected, with n letters; `first` is said before. */
static struct kit *
kit_new(int n, const char *first)
{
	struct kit *k = xalloc(sizeof(*k));
	fake_init(&k->f);
	talk_init(&k->t, &k->f);
	talk_login(&k->t);
	for (int i = 0; i < n; i++)
		(void)fake_deliver(&k->f, STR("INBOX"), LETTER, 0);
	(void)talk_say(&k->t, first);
	(void)talk_say(&k->t, "s SELECT INBOX\r\n");
	assert_int_equal(k->t.s.state, IMAP_SELECTED);
	return k;
}

static void
kit_free(struct kit *k)
{
	talk_done(&k->t);
	assert_int_equal(k->t.maps.by_state.used, 0);
	fake_done(&k->f);
	free(k);
}

static const char *
stirred(struct kit *k, const char *say)
{
	imap_session_stir(&k->t.s);
	return talk_say(&k->t, say);
}

static void
test_noop(void **state)
{
	for (size_t window = 0; window < 4; window++) {
		struct kit *k = kit_new(5, "");
		k->f.window = window;
		fake_expunge(&k->f, STR("INBOX"), 2);
		fake_expunge(&k->f, STR("INBOX"), 4);
		(void)fake_deliver(&k->f, STR("INBOX"), LETTER, 0);
		fake_flag(&k->f, STR("INBOX"), 3, ACCESS_SEEN);
		fake_flag(&k->f, STR("INBOX"), 5, ACCESS_FLAGGED);
		/* Nobody asked: nobody is told. */
		assert_string_equal(talk_say(&k->t, "a CAPABILITY x\r\n"),
		    "a BAD more arguments than there should be\r\n");
		assert_string_equal(talk_say(&k->t, "b NOOP\r\n"),
		    "* 4 EXPUNGE\r\n* 2 EXPUNGE\r\n* 4 EXISTS\r\n* 2 FETCH (FLAGS (\\Seen))\r\n"
		    "* 3 FETCH (FLAGS (\\Flagged))\r\nb OK NOOP completed\r\n");
		assert_string_equal(talk_say(&k->t, "c NOOP\r\n"), "c OK NOOP completed\r\n");
		kit_free(k);
	}
}

/* A letter that came and went between two looks was never there. */
static void
test_never_seen(void **state)
{
	struct kit *k = kit_new(1, "");
	uint32_t uid = fake_deliver(&k->f, STR("INBOX"), LETTER, 0);
	(void)fake_deliver(&k->f, STR("INBOX"), LETTER, 0);
	fake_expunge(&k->f, STR("INBOX"), uid);
	assert_string_equal(talk_say(&k->t, "a NOOP\r\n"), "* 2 EXISTS\r\na OK NOOP completed\r\n");
	assert_string_equal(talk_say(&k->t, "b FETCH 2 UID\r\n"),
	    "* 2 FETCH (UID 3)\r\nb OK FETCH completed\r\n");
	kit_free(k);
}

/* RFC 9051 7.5.1: no EXPUNGE in answer to FETCH; it comes with the next command that allows it. */
static void
test_held(void **state)
{
	for (int map = 0; map < 2; map++) {
		struct kit *k = kit_new(4, "");
		if (map)
			(void)talk_say(&k->t, "m FETCH 1:* UID\r\n");
		fake_expunge(&k->f, STR("INBOX"), 2);
		fake_flag(&k->f, STR("INBOX"), 3, ACCESS_SEEN);
		uint32_t uid = fake_deliver(&k->f, STR("INBOX"), LETTER, 0);
		fake_expunge(&k->f, STR("INBOX"), uid);
		(void)fake_deliver(&k->f, STR("INBOX"), LETTER, 0);
		assert_string_equal(stirred(k, "a FETCH 4 UID\r\n"),
		    "* 4 FETCH (UID 4)\r\n* 6 EXISTS\r\n* 3 FETCH (FLAGS (\\Seen))\r\n"
		    "a OK FETCH completed\r\n");
		assert_string_equal(talk_say(&k->t, "b FETCH 6 UID\r\n"),
		    "* 6 FETCH (UID 6)\r\nb OK FETCH completed\r\n");
		assert_string_equal(talk_say(&k->t, "c UID FETCH 6 FLAGS\r\n"),
		    "* 6 FETCH (UID 6 FLAGS ())\r\n* 5 EXPUNGE\r\n* 2 EXPUNGE\r\n"
		    "c OK UID FETCH completed\r\n");
		assert_string_equal(talk_say(&k->t, "d FETCH 4 UID\r\n"),
		    "* 4 FETCH (UID 6)\r\nd OK FETCH completed\r\n");
		kit_free(k);
	}
}

static void
test_idle(void **state)
{
	struct kit *k = kit_new(3, "");
	uint32_t mailbox;
	uint64_t modseq;
	assert_true(imap_session_watch(&k->t.s, &mailbox, &modseq));
	assert_int_equal(mailbox, 1);
	assert_int_equal(modseq, 3);
	assert_string_equal(talk_say(&k->t, "a IDLE\r\n"), "+ idling\r\n");
	(void)fake_deliver(&k->f, STR("INBOX"), LETTER, 0);
	assert_string_equal(talk_say(&k->t, ""), "");
	assert_string_equal(stirred(k, ""), "* 4 EXISTS\r\n");
	fake_expunge(&k->f, STR("INBOX"), 1);
	fake_flag(&k->f, STR("INBOX"), 2, ACCESS_SEEN);
	assert_string_equal(stirred(k, ""), "* 1 EXPUNGE\r\n* 1 FETCH (FLAGS (\\Seen))\r\n");
	assert_true(imap_session_watch(&k->t.s, &mailbox, &modseq));
	assert_int_equal(modseq, 6);
	assert_string_equal(talk_say(&k->t, "DONE\r\n"), "a OK IDLE completed\r\n");
	kit_free(k);
}

/* The server stops while IDLE still asks what is new. */
static void
test_idle_shutdown(void **state)
{
	struct kit *k = kit_new(3, "");
	struct str in = STR("a IDLE\r\n");
	buf_reset(&k->t.out);
	assert_int_equal(imap_session_step(&k->t.s, &in, &k->t.clock, &k->t.out), IMAP_ASK);
	assert_string_equal(buf_cstr(&k->t.out), "+ idling\r\n");
	imap_session_shutdown(&k->t.s, &k->t.clock, &k->t.out);
	assert_string_equal(talk_say(&k->t, ""),
	    "* BYE the server is shutting down; connect again\r\n");
	assert_true(k->t.ended);
	kit_free(k);
}

static void
test_expunge(void **state)
{
	struct kit *k = kit_new(5, "");
	assert_string_equal(talk_say(&k->t, "a UID STORE 2,4:5 +FLAGS.SILENT (\\Deleted)\r\n"),
	    "a OK UID STORE completed\r\n");
	assert_string_equal(talk_say(&k->t, "b UID EXPUNGE 3,6:9\r\n"),
	    "b OK UID EXPUNGE completed\r\n");
	assert_string_equal(talk_say(&k->t, "c UID EXPUNGE 1:2\r\n"),
	    "* 2 EXPUNGE\r\nc OK UID EXPUNGE completed\r\n");
	assert_string_equal(talk_say(&k->t, "d UID EXPUNGE *\r\n"),
	    "* 4 EXPUNGE\r\nd OK UID EXPUNGE completed\r\n");
	assert_string_equal(talk_say(&k->t, "e EXPUNGE\r\n"),
	    "* 3 EXPUNGE\r\ne OK EXPUNGE completed\r\n");
	assert_string_equal(talk_say(&k->t, "f UID EXPUNGE x\r\n"),
	    "f BAD UID EXPUNGE uids: a number is missing\r\n");
	assert_int_equal(fake_box(&k->f, STR("INBOX"))->n_letters, 2);
	kit_free(k);
}

static void
test_close(void **state)
{
	struct kit *k = kit_new(2, "");
	(void)talk_say(&k->t, "a STORE 1 +FLAGS (\\Deleted)\r\nb EXAMINE INBOX\r\n");
	assert_string_equal(talk_say(&k->t, "c EXPUNGE\r\nd CLOSE\r\n"),
	    "c NO [READ-ONLY] the mailbox was opened by EXAMINE\r\nd OK CLOSE completed\r\n");
	assert_int_equal(fake_box(&k->f, STR("INBOX"))->n_letters, 2);
	assert_string_equal(talk_say(&k->t, "e NOOP\r\nf CLOSE\r\n"),
	    "e OK NOOP completed\r\nf BAD select a mailbox first\r\n");
	(void)talk_say(&k->t, "g SELECT INBOX\r\n");
	assert_string_equal(talk_say(&k->t, "h UNSELECT\r\n"), "h OK UNSELECT completed\r\n");
	assert_int_equal(fake_box(&k->f, STR("INBOX"))->n_letters, 2);
	(void)talk_say(&k->t, "i SELECT INBOX\r\n");
	assert_string_equal(talk_say(&k->t, "j CLOSE\r\n"), "j OK CLOSE completed\r\n");
	assert_int_equal(fake_box(&k->f, STR("INBOX"))->n_letters, 1);
	kit_free(k);
}

/* A failed SELECT leaves nothing selected. */
static void
test_select(void **state)
{
	struct kit *k = kit_new(1, "");
	assert_string_equal(talk_say(&k->t, "a SELECT nix\r\nb CLOSE\r\n"),
	    "* OK [CLOSED] the mailbox before is closed\r\n"
	    "a NO [NONEXISTENT] there is no such mailbox\r\nb BAD select a mailbox first\r\n");
	assert_string_equal(talk_say(&k->t,
				"c SELECT INBOX (FOO)\r\nd SELECT INBOX (QRESYNC (1 1))\r\n"),
	    "c BAD SELECT mailbox: there is no such parameter\r\n"
	    "d BAD SELECT mailbox: QRESYNC has to be enabled first\r\n");
	kit_free(k);
}

/* SELECT costs one question, whatever the size of the mailbox. */
static void
test_select_cost(void **state)
{
	struct kit *k = kit_new(500, "");
	unsigned before = k->f.reads;
	k->f.window = 10;
	(void)talk_say(&k->t, "a SELECT INBOX\r\n");
	assert_int_equal(k->f.reads, before + 1);
	kit_free(k);
}

static void
test_condstore(void **state)
{
	struct kit *k = kit_new(3, "e ENABLE CONDSTORE\r\n");
	fake_flag(&k->f, STR("INBOX"), 2, ACCESS_SEEN);
	assert_string_equal(talk_say(&k->t, "a NOOP\r\n"),
	    "* 2 FETCH (UID 2 FLAGS (\\Seen) MODSEQ (4))\r\na OK NOOP completed\r\n");
	(void)talk_say(&k->t, "b STORE 1 +FLAGS.SILENT (\\Deleted)\r\n");
	assert_string_equal(talk_say(&k->t, "c EXPUNGE\r\n"),
	    "* 1 EXPUNGE\r\nc OK [HIGHESTMODSEQ 6] EXPUNGE completed\r\n");
	/* What a CLOSE expunges is not told: what is said is where to ask from. */
	(void)talk_say(&k->t, "d STORE 1 +FLAGS.SILENT (\\Deleted)\r\n");
	assert_string_equal(talk_say(&k->t, "e CLOSE\r\n"),
	    "e OK [HIGHESTMODSEQ 7] CLOSE completed\r\n");
	kit_free(k);
}

static void
test_qresync(void **state)
{
	struct kit *k = kit_new(9, "e ENABLE QRESYNC\r\n");
	fake_expunge(&k->f, STR("INBOX"), 3);
	fake_expunge(&k->f, STR("INBOX"), 4);
	fake_flag(&k->f, STR("INBOX"), 7, ACCESS_SEEN);
	assert_string_equal(talk_say(&k->t, "a NOOP\r\n"),
	    "* VANISHED 3:4\r\n* 5 FETCH (UID 7 FLAGS (\\Seen) MODSEQ (12))\r\na OK NOOP "
	    "completed\r\n");
	fake_expunge(&k->f, STR("INBOX"), 9);
	for (k->f.window = 0; k->f.window < 3; k->f.window++) {
		const char *said = talk_say(&k->t, "b SELECT INBOX (QRESYNC (1001 10))\r\n");
		assert_non_null(strstr(said, "* OK [CLOSED] the mailbox before is closed\r\n"));
		assert_non_null(strstr(said,
		    "* VANISHED (EARLIER) 4,9\r\n* 5 FETCH (UID 7 FLAGS (\\Seen) MODSEQ (12))\r\n"
		    "b OK [READ-WRITE] SELECT completed\r\n"));
	}
	const char *said = talk_say(&k->t, "c SELECT INBOX (QRESYNC (1001 9 1:3,9 (1,5 1,6)))\r\n");
	assert_non_null(strstr(said, "* VANISHED (EARLIER) 3,9\r\n"));
	/* Another mailbox of that name: nothing that the client knows is true. */
	said = talk_say(&k->t, "d SELECT INBOX (QRESYNC (77 1))\r\n");
	assert_null(strstr(said, "VANISHED"));
	assert_null(strstr(said, "FETCH"));
	/* What vanished is forgotten: all that is not there is named. */
	fake_box(&k->f, STR("INBOX"))->floor = 12;
	said = talk_say(&k->t, "f SELECT INBOX (QRESYNC (1001 9))\r\n");
	assert_non_null(strstr(said, "* VANISHED (EARLIER) 3:4,9\r\n"));
	kit_free(k);
}

/* The writer has forgotten what vanished while we looked away: no number can be told any more. */
static void
test_lost(void **state)
{
	struct kit *k = kit_new(3, "");
	fake_expunge(&k->f, STR("INBOX"), 2);
	fake_box(&k->f, STR("INBOX"))->floor = 4;
	assert_string_equal(talk_say(&k->t, "a NOOP\r\n"),
	    "* BYE [UNAVAILABLE] too much has changed in the mailbox; connect again\r\n");
	assert_true(k->t.ended);
	kit_free(k);
}

static void
test_deleted_by_another(void **state)
{
	struct kit *k = kit_new(0, "c CREATE x\r\n");
	(void)talk_say(&k->t, "a SELECT x\r\nb IDLE\r\n");
	fake_drop_box(&k->f, fake_box(&k->f, STR("x")));
	assert_string_equal(stirred(k, ""), "* BYE the selected mailbox was deleted\r\n");
	assert_true(k->t.ended);
	kit_free(k);
}

static void
test_keywords(void **state)
{
	struct kit *k = kit_new(1, "");
	assert_string_equal(talk_say(&k->t, "a STORE 1 FLAGS ($one two)\r\n"),
	    "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $one two)\r\n"
	    "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $one two \\*)] "
	    "flags "
	    "permitted\r\n* 1 FETCH (FLAGS ($one two))\r\na OK STORE completed\r\n");
	kit_free(k);
}

/* More changes than are kept, and more than out may hold at once. */
static void
test_many(void **state)
{
	struct kit *k = kit_new(6000, "");
	struct fake_box *b = fake_box(&k->f, STR("INBOX"));
	for (size_t i = 0; i < b->n_letters; i++) {
		b->letter[i].flags = UINT32_MAX;
		b->letter[i].modseq = b->modseq + 1;
	}
	b->modseq++;
	k->f.window = 1000;
	const char *said = talk_say(&k->t, "a NOOP\r\n");
	size_t n = 0;
	for (const char *p = said; (p = strstr(p, " FETCH (")); p++)
		n++;
	assert_int_equal(n, 6000);
	assert_non_null(strstr(said, "* 6000 FETCH ("));
	for (size_t i = 0; i < b->n_letters; i += 2)
		b->letter[i].flags = ACCESS_DELETED;
	b->modseq++;
	said = talk_say(&k->t, "b EXPUNGE\r\n");
	n = 0;
	for (const char *p = said; (p = strstr(p, " EXPUNGE\r\n")); p++)
		n++;
	assert_int_equal(n, 6000);
	kit_free(k);
}

/* Two sessions that see the same share one map; one that sees something else has its own. */
static void
test_shared_maps(void **state)
{
	struct kit *k = kit_new(10, "");
	struct talk other;
	talk_init(&other, &k->f);
	other.s.maps = &k->t.maps;
	talk_login(&other);
	(void)talk_say(&other, "a SELECT INBOX\r\nb FETCH 1 UID\r\n");
	unsigned before = k->f.reads;
	(void)talk_say(&k->t, "a FETCH 1 UID\r\n");
	assert_int_equal(k->f.reads, before + 1);
	assert_int_equal(k->t.maps.by_state.used, 1);
	fake_expunge(&k->f, STR("INBOX"), 5);
	(void)talk_say(&k->t, "b NOOP\r\n");
	assert_int_equal(k->t.maps.by_state.used, 2);
	assert_string_equal(talk_say(&other, "c FETCH 10 UID\r\n"),
	    "* 10 FETCH (UID 10)\r\nc OK FETCH completed\r\n");
	(void)talk_say(&other, "d NOOP\r\n");
	assert_int_equal(k->t.maps.by_state.used, 1);
	talk_done(&other);
	kit_free(k);
}

/* --- what a client believes is what there is --- */

#define MODEL_MAX 4096
struct model {
	size_t n;
	struct {
		uint32_t uid; /* 0: not told */
		char flags[64];
	} at[MODEL_MAX];
};

static void
model_drop(struct model *m, size_t seq)
{
	assert_true(seq >= 1 && seq <= m->n);
	memmove(&m->at[seq - 1], &m->at[seq], (m->n - seq) * sizeof(m->at[0]));
	m->n--;
}

/* A UID that was not told is that of a letter between those whose UIDs were. */
static void
model_gone(struct model *m, uint32_t uid)
{
	size_t i = 0;
	for (size_t k = 0; k < m->n; k++)
		if (m->at[k].uid && m->at[k].uid <= uid)
			i = m->at[k].uid == uid ? k : k + 1;
	assert_true(i < m->n && (m->at[i].uid == 0 || m->at[i].uid == uid));
	model_drop(m, i + 1);
}

static void
model_vanished(struct model *m, const char *set)
{
	while (*set >= '0' && *set <= '9') {
		char *end;
		unsigned long a = strtoul(set, &end, 10), b = a;
		if (*end == ':')
			b = strtoul(end + 1, &end, 10);
		for (; a <= b; a++)
			model_gone(m, (uint32_t)a);
		set = *end == ',' ? end + 1 : end;
	}
}

static void
model_line(struct model *m, const char *line)
{
	unsigned seq, uid;
	char what[32];
	if (strncmp(line, "* VANISHED ", 11) == 0) {
		model_vanished(m, line + 11);
		return;
	}
	if (sscanf(line, "* %u %31[A-Z]", &seq, what) != 2)
		return;
	if (strcmp(what, "EXISTS") == 0) {
		assert_true(seq >= m->n && seq <= MODEL_MAX);
		memset(&m->at[m->n], 0, (seq - m->n) * sizeof(m->at[0]));
		m->n = seq;
	} else if (strcmp(what, "EXPUNGE") == 0) {
		model_drop(m, seq);
	} else if (strcmp(what, "FETCH") == 0) {
		assert_true(seq >= 1 && seq <= m->n);
		const char *p = strstr(line, "UID "), *f = strstr(line, "FLAGS (");
		if (p && sscanf(p, "UID %u", &uid) == 1) {
			assert_true(m->at[seq - 1].uid == 0 || m->at[seq - 1].uid == uid);
			m->at[seq - 1].uid = uid;
		}
		if (f)
			(void)str_copy(m->at[seq - 1].flags, sizeof(m->at[0].flags),
			    str_first(str_of(f + 7), str_find(str_of(f + 7), ')')));
	}
}

static void
model_take(struct model *m, const char *said)
{
	while (*said) {
		const char *end = strstr(said, "\r\n");
		assert_non_null(end);
		model_line(m, said);
		said = end + 2;
	}
}

static void
model_check(const struct model *m, const struct fake_box *b)
{
	assert_int_equal(m->n, b->n_letters);
	for (size_t i = 0; i < m->n; i++) {
		assert_int_equal(m->at[i].uid, b->letter[i].uid);
		bool seen = b->letter[i].flags & ACCESS_SEEN;
		assert_int_equal(seen, strstr(m->at[i].flags, "\\Seen") != NULL);
		bool flagged = b->letter[i].flags & ACCESS_FLAGGED;
		assert_int_equal(flagged, strstr(m->at[i].flags, "\\Flagged") != NULL);
	}
}

static unsigned
dice(uint64_t *seed, unsigned sides)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(*seed >> 33) % sides;
}

static void
happen(struct fake *f, uint64_t *seed)
{
	struct fake_box *b = fake_box(f, STR("INBOX"));
	unsigned what = dice(seed, 3);
	if (what == 0 || b->n_letters == 0)
		(void)fake_deliver(f, STR("INBOX"), LETTER, 0);
	else if (what == 1)
		fake_flag(f, STR("INBOX"), b->letter[dice(seed, (unsigned)b->n_letters)].uid,
		    dice(seed, 2) ? ACCESS_SEEN : ACCESS_FLAGGED);
	else
		fake_expunge(f, STR("INBOX"), b->letter[dice(seed, (unsigned)b->n_letters)].uid);
}

static void
say_something(struct talk *t, struct model *m, uint64_t *seed)
{
	static const char *const lines[] = { "a NOOP\r\n", "a FETCH 1:* (UID FLAGS)\r\n",
		"a STORE 1 +FLAGS (\\Seen)\r\n", "a STORE * -FLAGS.SILENT (\\Seen)\r\n",
		"a UID FETCH 1:* (FLAGS)\r\n", "a IDLE\r\n", "DONE\r\n", "a CHECK\r\n",
		"a UID STORE 1:9 +FLAGS (\\Flagged)\r\n", "a SEARCH ALL\r\n" };
	unsigned i = dice(seed, ARRAY_LEN(lines));
	if (dice(seed, 2))
		imap_session_stir(&t->s);
	if (t->s.idling && i != 6) {
		model_take(m, talk_say(t, ""));
		return;
	}
	if (i == 6 && !t->s.idling)
		return;
	const char *said = talk_say(t, lines[i]);
	model_take(m, said);
	/* A silent STORE says nothing of what its client knows. */
	if (i == 3)
		model_take(m, talk_say(t, "a FETCH 1:* (UID FLAGS)\r\n"));
}

static void
converge(uint64_t seed, const char *enable)
{
	enum { CLIENTS = 3 };
	struct kit *k = kit_new(4, enable);
	struct talk more[CLIENTS - 1], *t[CLIENTS] = { &k->t, &more[0], &more[1] };
	struct model *m = xalloc(CLIENTS * sizeof(*m));
	for (int i = 0; i < CLIENTS; i++) {
		if (i > 0) {
			talk_init(t[i], &k->f);
			t[i]->s.maps = &k->t.maps;
			talk_login(t[i]);
			(void)talk_say(t[i], enable);
		}
		model_take(&m[i], talk_say(t[i], "s SELECT INBOX\r\nf FETCH 1:* (UID FLAGS)\r\n"));
	}
	for (int step = 0; step < 120; step++) {
		k->f.window = dice(&seed, 4);
		for (unsigned n = dice(&seed, 4); n > 0; n--)
			happen(&k->f, &seed);
		unsigned who = dice(&seed, CLIENTS);
		say_something(t[who], &m[who], &seed);
	}
	for (int i = 0; i < CLIENTS; i++) {
		if (t[i]->s.idling)
			model_take(&m[i], talk_say(t[i], "DONE\r\n"));
		model_take(&m[i], talk_say(t[i], "n NOOP\r\n"));
		struct model told = m[i];
		model_take(&m[i], talk_say(t[i], "f FETCH 1:* (UID FLAGS)\r\n"));
		model_check(&m[i], fake_box(&k->f, STR("INBOX")));
		/* ... and every letter of which flags were told was told right. */
		for (size_t l = 0; l < told.n; l++)
			if (told.at[l].uid)
				assert_string_equal(told.at[l].flags, m[i].at[l].flags);
		if (i > 0)
			talk_done(t[i]);
	}
	free(m);
	kit_free(k);
}

static void
test_converges(void **state)
{
	for (uint64_t seed = 1; seed <= 40; seed++) {
		converge(seed, "");
		converge(seed, "e ENABLE CONDSTORE\r\n");
		converge(seed, "e ENABLE QRESYNC\r\n");
		converge(seed, "e ENABLE IMAP4rev2\r\n");
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_noop),
		cmocka_unit_test(test_never_seen),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_idle_shutdown),
		cmocka_unit_test(test_expunge),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_select),
		cmocka_unit_test(test_select_cost),
		cmocka_unit_test(test_condstore),
		cmocka_unit_test(test_qresync),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_deleted_by_another),
		cmocka_unit_test(test_keywords),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_shared_maps),
		cmocka_unit_test(test_converges),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
