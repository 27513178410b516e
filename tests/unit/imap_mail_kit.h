/* A session whose INBOX has letters, and commands with what is to come of them. */
#pragma once

#include "imap_talk.h"

struct kit {
	struct fake f;
	struct talk t;
};

static FAKE_UNUSED void
kit_init(struct kit *k)
{
	fake_init(&k->f);
	talk_init(&k->t, &k->f);
	talk_login(&k->t);
}

static FAKE_UNUSED void
kit_done(struct kit *k)
{
	talk_done(&k->t);
	fake_done(&k->f);
}

static FAKE_UNUSED uint32_t
kit_letter(struct kit *k, const char *octets)
{
	return fake_deliver(&k->f, STR("INBOX"), str_of(octets), 0);
}

static FAKE_UNUSED struct fake_letter *
kit_of(struct kit *k, uint32_t uid)
{
	return fake_letter(fake_box(&k->f, STR("INBOX")), uid);
}

/* The letter as it is behind a rebuilt index. */
static FAKE_UNUSED void
kit_no_outline(struct kit *k, uint32_t uid)
{
	buf_reset(&kit_of(k, uid)->outline);
}

/* What the command brings; the tag is t. */
static FAKE_UNUSED const char *
kit_say(struct kit *k, const char *command)
{
	struct buf line = BUF_INIT(SIZE_MAX / 2);
	buf_putf(&line, "t %s\r\n", command);
	const char *said = talk_say(&k->t, buf_cstr(&line));
	buf_done(&line);
	return said ? said : "";
}

static FAKE_UNUSED void
kit_select(struct kit *k)
{
	const char *said = kit_say(k, "SELECT INBOX");
	assert_non_null(strstr(said, "t OK [READ-WRITE]"));
}

/* RFC 5161 3.1: with nothing selected. */
static FAKE_UNUSED void
kit_enable(struct kit *k, const char *what)
{
	char command[100];
	snprintf(command, sizeof(command), "ENABLE %s", what);
	(void)kit_say(k, "UNSELECT");
	(void)kit_say(k, command);
	kit_select(k);
}

/* All of it begins so; "t OK" is enough for the last line. */
static FAKE_UNUSED void
kit_says(struct kit *k, const char *command, const char *want)
{
	const char *said = kit_say(k, command);
	if (strncmp(said, want, strlen(want)) != 0) {
		print_error("%s\n--- said:\n%s\n--- wanted:\n%s\n", command, said, want);
		fail();
	}
}

/* Somewhere in it. */
static FAKE_UNUSED void
kit_has(struct kit *k, const char *command, const char *want)
{
	const char *said = kit_say(k, command);
	if (!strstr(said, want)) {
		print_error("%s\n--- said:\n%s\n--- wanted in it:\n%s\n", command, said, want);
		fail();
	}
}
