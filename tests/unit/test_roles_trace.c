/* trace: which letters are listed when there are more, and what a list says of each. */
#include "roles_store_kit.h"

#include "store/recorder.h"

#define HOUR_MS UINT64_C(3600000)
#define NOON_MS UINT64_C(1780000000000)
#define EVENTS 12000u /* more than are looked at behind the limit */

static const char *const sets[] = { "trace.days=36500", NULL };

struct past { /* a store before the server starts: its histories are in the recorder's files */
	struct store *s;
	struct recorder *r;
	size_t n;
};

static void
past_begin(struct past *p)
{
	char *uri = NULL;
	struct store_options o = STORE_OPTIONS_DEFAULT;
	const struct recorder_options ro = { 1u << 20, 1u << 30, 36500 * RECORDER_DAY_MS };
	struct buf err = BUF_INIT(4096);
	o.followed = true;
	*p = (struct past){ 0 };
	assert_true(asprintf(&uri, "emb:%s/store", kit_dir) > 0);
	assert_int_equal(store_open(&p->s, uri, &o, &err), 0);
	assert_int_equal(recorder_open(&p->r, p->s, &ro, &err), 0);
	free(uri);
	buf_done(&err);
}

static void
past_end(struct past *p)
{
	store_wait(p->s);
	p->r = recorder_close(p->r);
	p->s = store_close(p->s);
}

static uint64_t
letter_of(uint64_t ms, uint64_t i)
{
	return ms << 22 | i;
}

static void
note(struct past *p, uint8_t kind, uint64_t letter, uint64_t ms)
{
	struct store_dom q = store_dom_queue(0);
	struct store_batch *b = store_batch_new(p->s, &q);
	store_note(b, &(struct store_note){ .kind = kind,
			  .letter = letter,
			  .session = 77,
			  .time_ms = ms,
			  .qid = STR("Q1"),
			  .from = STR("ann@example.net"),
			  .rcpts = STR("joe@example.org"),
			  .peer = kind == STORE_NOTE_LETTER ? STR("192.0.2.1") : STR("mx"),
			  .octets = STR("+1ms c: EHLO some.host.example.net\n") });
	store_commit(b, STORE_DURABLE, NULL, NULL);
	if (++p->n % 500 == 0)
		store_wait(p->s);
}

static void
came(struct past *p, uint64_t letter)
{
	note(p, STORE_NOTE_LETTER, letter, letter >> 22);
}

/* The letters of the answer are these, and so it ends. */
static void
says(struct town *t, const uint64_t *letters, size_t n, const char *end)
{
	struct str rest = buf_str(&t->out);
	for (size_t i = 0; i < n; i++) {
		char id[14];
		id_format(id, letters[i]);
		struct str line = str_cut(&rest, '\n');
		assert_true(str_eq(str_cut(&line, '|'), str_of(id)));
	}
	assert_true(str_starts(rest, str_of(end)));
}

/* Old letters were tried last: newer ones are listed all the same, and what is older than these is
 * not looked at. */
static void
test_newest(void **state)
{
	struct past p;
	struct town t;
	uint64_t letters[4];
	past_begin(&p);
	for (uint64_t i = 0; i < EVENTS; i++)
		came(&p, letter_of(NOON_MS - HOUR_MS + i, i % 4096));
	for (uint64_t i = 0; i < ARRAY_LEN(letters); i++)
		came(&p, letters[i] = letter_of(NOON_MS + i * HOUR_MS, i));
	for (uint64_t i = 0; i < 2; i++)
		note(&p, STORE_NOTE_ATTEMPT, letters[i], NOON_MS + (5 + i) * HOUR_MS);
	past_end(&p);
	town_open(&t, sets);
	assert_int_equal(KIT_ASK(&t.reader, &t.out, "trace", "to=joe@example.org", "limit=2"),
	    CTL_OK);
	says(&t, letters + 2, 2, "!there are more; these are the newest 2; --limit");
	assert_int_equal(KIT_ASK(&t.reader, &t.out, "trace", "key=joe@example.org", "limit=3"),
	    CTL_OK);
	says(&t, letters + 1, 3, "!there are more; these are the newest 3; --limit");
	town_close(&t);
}

/* So many events of old letters that nobody reads on to what came before them: it is said. */
static void
test_newest_events(void **state)
{
	struct past p;
	struct town t;
	uint64_t letters[6];
	past_begin(&p);
	for (uint64_t i = 0; i < ARRAY_LEN(letters); i++)
		came(&p, letters[i] = letter_of(NOON_MS + i * HOUR_MS, i));
	for (uint64_t i = 0; i < EVENTS; i++)
		note(&p, STORE_NOTE_ATTEMPT, letters[i % 3], NOON_MS + 9 * HOUR_MS + i);
	past_end(&p);
	town_open(&t, sets);
	assert_int_equal(KIT_ASK(&t.reader, &t.out, "trace", "to=joe@example.org", "limit=2"),
	    CTL_OK);
	says(&t, letters + 1, 2,
	    "!there are more; these are the newest 2 of those with the newest events; --limit");
	assert_int_equal(KIT_ASK(&t.reader, &t.out, "trace", "to=joe@example.org"), CTL_OK);
	says(&t, letters, 6, "");
	town_close(&t);
}

/* How a letter came is not kept any more; an attempt says whose it was. */
static void
test_arrival_is_gone(void **state)
{
	struct past p;
	struct town t;
	char want[256], ids[2][14];
	const uint64_t letters[] = { letter_of(NOON_MS, 1), letter_of(NOON_MS + HOUR_MS, 2) };
	past_begin(&p);
	came(&p, letters[1]);
	for (size_t i = 0; i < 4; i++)
		note(&p, STORE_NOTE_ATTEMPT, letters[i % 2], NOON_MS + 50 * HOUR_MS + i);
	past_end(&p);
	town_open(&t, sets);
	for (size_t i = 0; i < 2; i++)
		id_format(ids[i], letters[i]);
	assert_int_equal(KIT_ASK(&t.reader, &t.out, "trace", "to=joe@example.org"), CTL_OK);
	snprintf(want, sizeof(want), "%s|%s|%llu|brief|Q1|ann@example.net|joe@example.org|||",
	    ids[0], "000000000002d", (unsigned long long)NOON_MS);
	assert_true(str_starts(buf_str(&t.out), str_of(want)));
	snprintf(want, sizeof(want),
	    "%s|%s|%llu|brief|Q1|ann@example.net|joe@example.org||192.0.2.1|", ids[1],
	    "000000000002d", (unsigned long long)(NOON_MS + HOUR_MS));
	assert_true(str_find_str(buf_str(&t.out), str_of(want)) < t.out.len);
	town_close(&t);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		ROW(test_newest),
		ROW(test_newest_events),
		ROW(test_arrival_is_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
