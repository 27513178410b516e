/* A session with a fake account behind it, and what it is fed with. */
#pragma once

#include "imap_fake.h"

struct talk {
	struct fake *f;
	struct imap_session s;
	struct imap_conf conf;
	struct imap_wording wording;
	struct imap_clock clock;
	struct uidmaps maps;
	struct buf out, kept; /* kept: input that was not eaten */
	bool ended, deflated;
	unsigned upgrades, flushes;
	bool refuse_tls;
};

static void
talk_words(struct imap_wording *w)
{
	w->says[IMAP_SAYS_GREETING] = STR("${host} ready");
	w->says[IMAP_SAYS_NO_LOGIN] = STR("name or password is wrong");
	w->says[IMAP_SAYS_NO_PRIVACY] = STR("a password needs TLS first");
	w->says[IMAP_SAYS_BAD_SYNTAX] = STR("${reason}");
	w->says[IMAP_SAYS_BAD_NOTAG] = STR("a command begins with a tag");
	w->says[IMAP_SAYS_BYE] = STR("bye");
	w->says[IMAP_SAYS_OK] = STR("${cmd} completed");
	w->ok[IMAP_OK_STARTTLS] = STR("Begin TLS negotiation now");
}

/* Before login, in clear. */
static FAKE_UNUSED void
talk_init(struct talk *t, struct fake *f)
{
	*t = (struct talk){ .f = f, .clock = { .now = 1000, .wall = 1780000000 } };
	talk_words(&t->wording);
	t->conf = (struct imap_conf){ .wording = &t->wording,
		.host = STR("mail.example.net"),
		.separator = '/',
		.starttls = true,
		.auth_cleartext = true,
		.mechs = STR("PLAIN LOGIN"),
		.bare_lf = true,
		.max_size = 1u << 20,
		.bad_commands = 20,
		.idle_seconds = 1800,
		.login_seconds = 60,
		.conn_seconds = UINT64_MAX,
		.version = STR("0") };
	buf_init(&t->out, 64u << 20);
	buf_init(&t->kept, 64u << 20);
	imap_session_init(&t->s, &t->conf, &t->maps, false, &t->clock);
}

static FAKE_UNUSED void
talk_done(struct talk *t)
{
	imap_session_done(&t->s);
	uidmaps_done(&t->maps);
	buf_done(&t->out);
	buf_done(&t->kept);
}

static void
talk_auth(const struct imap_auth *auth, struct imap_answer *a)
{
	static const char joe[] = "\0joe\0password";
	struct str right = str_n(joe, sizeof(joe) - 1);
	a->verdict = IMAP_AUTH_FAIL;
	if (str_ieq(str_of(auth->mech), STR("LOGIN"))) {
		static const char *const prompt[] = { "Username:", "Password:" };
		unsigned step = auth->begin ? 0 : auth->steps;
		a->verdict = IMAP_AUTH_CHALLENGE;
		if (step < 2)
			a->challenge = str_of(prompt[step]);
		else
			a->verdict = str_eq(auth->octets, STR("password")) ? IMAP_AUTH_OK
			                                                   : IMAP_AUTH_FAIL;
	} else if (auth->begin && !auth->has_initial) {
		a->verdict = IMAP_AUTH_CHALLENGE;
	} else if (str_eq(auth->octets, right)) {
		a->verdict = IMAP_AUTH_OK;
	}
	if (a->verdict == IMAP_AUTH_OK) {
		a->user = STR("joe@example.net");
		a->account = 7;
	}
}

static enum access_status
talk_letter(struct talk *t, struct imap_answer *a)
{
	struct fake *f = t->f;
	const struct fake_box *b = fake_box(f, t->s.letter_name);
	uint64_t n;
	if (!b || (b->attrs & (ACCESS_NOSELECT | ACCESS_NONEXISTENT)))
		return ACCESS_NOT_FOUND;
	if (f->quota && fake_used(f, &n) + t->s.letter_size > f->quota)
		return ACCESS_OVERQUOTA;
	check(f->n_pending < FAKE_PENDING);
	a->letter = f->pending[f->n_pending].id = ++f->last_id;
	buf_init(&f->pending[f->n_pending++].octets, SIZE_MAX / 2);
	return f->fail;
}

static void
talk_answer(struct talk *t)
{
	struct imap_answer a = { 0 };
	struct buf octets = BUF_INIT(SIZE_MAX / 2);
	switch (t->s.ask) {
	case IMAP_ASK_TLS:
		a.status = t->refuse_tls ? ACCESS_FAILED : ACCESS_OK;
		break;
	case IMAP_ASK_AUTH:
		talk_auth(t->s.auth, &a);
		break;
	case IMAP_ASK_READ:
		a.status = fake_read(t->f, &t->s.read, &octets);
		break;
	case IMAP_ASK_CHANGE:
		a.status = fake_change(t->f, &t->s.change, &octets);
		break;
	case IMAP_ASK_LETTER:
		a.status = talk_letter(t, &a);
		break;
	case IMAP_ASK_NONE:
		check_failed("an open question", __FILE__, __LINE__);
	}
	check(!octets.failed);
	/* Nothing behind it is ever read. */
	char *exact = octets.len ? xmemdup(octets.p, octets.len) : NULL;
	a.octets = str_n(exact, octets.len);
	check(imap_session_answer(&t->s, t->s.ask_no, &a, &t->clock, &t->out));
	free(exact);
	buf_done(&octets);
}

static void
talk_octets(struct talk *t)
{
	struct fake *f = t->f;
	check(f->n_pending && t->s.chunk.len);
	buf_puts(&f->pending[f->n_pending - 1].octets, t->s.chunk);
}

static void
talk_drop(struct talk *t)
{
	for (unsigned i = 0; i < t->s.n_dropped; i++) {
		for (size_t p = 0; p < t->f->n_pending; p++) {
			if (t->f->pending[p].id != t->s.dropped[i])
				continue;
			buf_done(&t->f->pending[p].octets);
			t->f->pending[p] = t->f->pending[--t->f->n_pending];
			t->f->dropped++;
			break;
		}
	}
}

/* Steps until all is eaten and answered. */
static FAKE_UNUSED void
talk_run(struct talk *t, struct str *in)
{
	while (!t->ended) {
		switch (imap_session_step(&t->s, in, &t->clock, &t->out)) {
		case IMAP_MORE:
			check(in->len == 0);
			return;
		case IMAP_ASK:
			talk_answer(t);
			break;
		case IMAP_OCTETS:
			talk_octets(t);
			break;
		case IMAP_DROP:
			talk_drop(t);
			break;
		case IMAP_FLUSH:
			t->flushes++;
			break;
		case IMAP_UPGRADE:
			t->upgrades++;
			imap_session_secured(&t->s, &t->clock);
			return;
		case IMAP_DEFLATE:
			t->deflated = true;
			break;
		case IMAP_END:
			t->ended = true;
			break;
		}
	}
}

static FAKE_UNUSED void
talk_feed(struct talk *t, struct str octets, size_t piece)
{
	while (octets.len && !t->ended) {
		struct str some = str_first(octets, piece);
		char *exact = xmemdup(some.p, some.len);
		struct str in = str_n(exact, some.len);
		octets = str_skip(octets, some.len);
		talk_run(t, &in);
		free(exact);
	}
}

/* Feeds a text whole; what was said since the last call. */
static FAKE_UNUSED const char *
talk_say(struct talk *t, const char *text)
{
	struct str none = STR_NULL;
	buf_reset(&t->out);
	if (*text)
		talk_feed(t, str_of(text), SIZE_MAX);
	else
		talk_run(t, &none);
	return buf_cstr(&t->out);
}

static FAKE_UNUSED void
talk_login(struct talk *t)
{
	imap_session_greet(&t->s, STR_NULL, &t->clock, &t->out);
	(void)talk_say(t, "l LOGIN joe password\r\n");
	check(t->s.state == IMAP_KNOWN);
	buf_reset(&t->out);
}

/* --- rows of tests: what goes in, and exactly what comes out --- */

struct talk_row {
	const char *name;
	void (*setup)(struct talk *t); /* or NULL: logged in, one empty INBOX */
	const char *in, *out;
	bool ends;
};

static const char *
talk_played(const struct talk_row *row, size_t split, size_t piece, struct buf *out, bool *ended)
{
	struct fake f;
	struct talk t;
	struct str in = str_of(row->in);
	fake_init(&f);
	talk_init(&t, &f);
	if (row->setup)
		row->setup(&t);
	else
		talk_login(&t);
	buf_reset(&t.out);
	talk_feed(&t, str_first(in, split), piece);
	talk_feed(&t, str_skip(in, split), piece);
	buf_puts(out, buf_str(&t.out));
	*ended = t.ended;
	talk_done(&t);
	fake_done(&f);
	return buf_cstr(out);
}

static bool
talk_fits(const struct talk_row *row, size_t split, size_t piece)
{
	bool ended;
	struct buf out = BUF_INIT(64u << 20);
	const char *said = talk_played(row, split, piece, &out, &ended);
	bool ok = said && strcmp(said, row->out) == 0 && ended == row->ends;
	if (!ok)
		fprintf(stderr, "%s: split at %zu, pieces of %zu, %s\n--- wanted:\n%s--- said:\n%s",
		    row->name, split, piece, ended ? "ended" : "goes on", row->out, said);
	buf_done(&out);
	return ok;
}

/* Whole, octet by octet, and in two pieces at every place. */
static FAKE_UNUSED bool
talk_row_ok(const struct talk_row *row)
{
	size_t len = strlen(row->in);
	bool ok = talk_fits(row, 0, SIZE_MAX) && talk_fits(row, 0, 1);
	for (size_t i = 1; ok && i < len; i++)
		ok = talk_fits(row, i, SIZE_MAX);
	return ok;
}
