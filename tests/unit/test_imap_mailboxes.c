#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "imap_talk.h"

static void
tree(struct talk *t)
{
	(void)fake_create(t->f, STR("Sent"), ACCESS_SENT);
	(void)fake_create(t->f, STR("a"), 0);
	(void)fake_create(t->f, STR("a/b/c"), 0);
	(void)fake_create(t->f, STR("a-b"), 0);
	fake_box(t->f, STR("a/b/c"))->attrs |= ACCESS_SUBSCRIBED;
	fake_box(t->f, STR("INBOX"))->attrs |= ACCESS_SUBSCRIBED;
	(void)fake_create(t->f, STR("old/x"), ACCESS_NONEXISTENT | ACCESS_SUBSCRIBED);
	(void)fake_deliver(t->f, STR("INBOX"), STR("Subject: x\r\n\r\nx\r\n"), 0);
	(void)fake_deliver(t->f, STR("INBOX"), STR("Subject: y\r\n\r\ny\r\n"), ACCESS_DELETED);
	talk_login(t);
}

/* The rows come in small windows. */
static void
tree_slow(struct talk *t)
{
	t->f->window = 1;
	tree(t);
}

static void
dots(struct talk *t)
{
	t->conf.separator = '.';
	tree(t);
}

static void
german(struct talk *t)
{
	(void)fake_create(t->f, STR("Entw\xc3\xbcrfe"), ACCESS_DRAFTS);
	talk_login(t);
}

static void
limited(struct talk *t)
{
	tree(t);
	t->f->quota = 10000;
}

#define LIST_INBOX "* LIST (\\HasNoChildren) \"/\" INBOX\r\n"
#define LIST_SENT "* LIST (\\HasNoChildren \\Sent) \"/\" Sent\r\n"
#define LIST_A "* LIST (\\HasChildren) \"/\" a\r\n"

static const struct talk_row rows[] = {
	{ "list all", tree, "a LIST \"\" *\r\n",
	    LIST_INBOX LIST_SENT LIST_A
	    "* LIST (\\HasNoChildren) \"/\" a-b\r\n"
	    "* LIST (\\Noselect \\HasChildren) \"/\" a/b\r\n"
	    "* LIST (\\HasNoChildren) \"/\" a/b/c\r\na OK LIST completed\r\n",
	    false },
	{ "list in windows", tree_slow, "a LIST \"\" %\r\nb LSUB \"\" \"*\"\r\n",
	    LIST_INBOX LIST_SENT LIST_A
	    "* LIST (\\HasNoChildren) \"/\" a-b\r\na OK LIST completed\r\n"
	    "* LSUB () \"/\" INBOX\r\n* LSUB () \"/\" a/b/c\r\n* LSUB () \"/\" old/x\r\n"
	    "b OK LSUB completed\r\n",
	    false },
	{ "reference and root", tree,
	    "a LIST a/ %\r\nb LIST \"\" \"\"\r\nc LIST {2+}\r\na/ {1+}\r\n*\r\nd LSUB \"\" "
	    "\"\"\r\n",
	    "* LIST (\\Noselect \\HasChildren) \"/\" a/b\r\na OK LIST completed\r\n"
	    "* LIST (\\Noselect) \"/\" \"\"\r\nb OK LIST completed\r\n"
	    "* LIST (\\Noselect \\HasChildren) \"/\" a/b\r\n"
	    "* LIST (\\HasNoChildren) \"/\" a/b/c\r\nc OK LIST completed\r\n"
	    "* LSUB (\\Noselect) \"/\" \"\"\r\nd OK LSUB completed\r\n",
	    false },
	{ "dots", dots,
	    "a LIST \"\" a.*\r\nb STATUS a.b.c (MESSAGES)\r\nc STATUS a/b/c (MESSAGES)\r\n",
	    "* LIST (\\Noselect \\HasChildren) \".\" a.b\r\n"
	    "* LIST (\\HasNoChildren) \".\" a.b.c\r\na OK LIST completed\r\n"
	    "* STATUS a.b.c (MESSAGES 0)\r\nb OK STATUS completed\r\n"
	    "c NO [CANNOT] a mailbox name cannot hold / where another separator is in use\r\n",
	    false },
	{ "lsub shows parents for what % hides", tree, "a LSUB \"\" %\r\nb LSUB a/ %\r\n",
	    "* LSUB () \"/\" INBOX\r\n* LSUB (\\Noselect) \"/\" a\r\n"
	    "* LSUB (\\Noselect) \"/\" old\r\na OK LSUB completed\r\n"
	    "* LSUB (\\Noselect) \"/\" a/b\r\nb OK LSUB completed\r\n",
	    false },
	{ "extended", tree,
	    "a LIST (SUBSCRIBED) \"\" *\r\nb LIST (SPECIAL-USE) \"\" *\r\n"
	    "c LIST \"\" (INBOX S*) RETURN (CHILDREN SUBSCRIBED)\r\n"
	    "d LIST (SUBSCRIBED RECURSIVEMATCH) \"\" %\r\n"
	    "e LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (% a*)\r\n",
	    "* LIST (\\HasNoChildren \\Subscribed) \"/\" INBOX\r\n"
	    "* LIST (\\HasNoChildren \\Subscribed) \"/\" a/b/c\r\n"
	    "* LIST (\\NonExistent \\HasNoChildren \\Subscribed) \"/\" old/x\r\n"
	    "a OK LIST completed\r\n" LIST_SENT "b OK LIST completed\r\n"
	    "* LIST (\\HasNoChildren \\Subscribed) \"/\" INBOX\r\n" LIST_SENT
	    "c OK LIST completed\r\n"
	    "* LIST (\\HasNoChildren \\Subscribed) \"/\" INBOX\r\n"
	    "* LIST (\\HasChildren) \"/\" a (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n"
	    "* LIST (\\NonExistent \\HasChildren) \"/\" old (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n"
	    "d OK LIST completed\r\n"
	    "* LIST (\\HasNoChildren \\Subscribed) \"/\" INBOX\r\n"
	    "* LIST (\\HasNoChildren \\Subscribed) \"/\" a/b/c\r\n"
	    "* LIST (\\NonExistent \\HasChildren) \"/\" old (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n"
	    "e OK LIST completed\r\n",
	    false },
	{ "with status", tree,
	    "a LIST \"\" (INBOX a/b) RETURN (STATUS (MESSAGES UNSEEN DELETED SIZE DELETED-STORAGE "
	    "UIDNEXT))\r\n"
	    "b LIST () \"\" Sent RETURN ()\r\n",
	    LIST_INBOX
	    "* STATUS INBOX (MESSAGES 2 UIDNEXT 3 UNSEEN 2 DELETED 1 DELETED-STORAGE 1 SIZE 34)\r\n"
	    "* LIST (\\Noselect \\HasChildren) \"/\" a/b\r\na OK LIST completed\r\n" LIST_SENT
	    "b OK LIST completed\r\n",
	    false },
	{ "list is wrong", tree,
	    "a LIST (RECURSIVEMATCH) \"\" *\r\nb LIST (FOO) \"\" *\r\nc LIST \"\" * RETURN "
	    "(FOO)\r\n"
	    "d LIST \"\" () \r\ne LIST\r\nf LIST \"\" * FOO (SUBSCRIBED)\r\n",
	    "a BAD LIST: RECURSIVEMATCH needs another option\r\n"
	    "b BAD LIST: there is no such option\r\nc BAD LIST: there is no such option\r\n"
	    "d BAD LIST: an argument is missing\r\ne BAD LIST: a blank is missing\r\n"
	    "f BAD LIST: RETURN is missing\r\n",
	    false },
	{ "status", tree,
	    "a STATUS inbox (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)\r\n"
	    "b STATUS a/b (MESSAGES)\r\nc STATUS nix (MESSAGES)\r\nd STATUS INBOX (FOO)\r\n"
	    "e STATUS INBOX ()\r\nf STATUS INBOX (APPENDLIMIT MAILBOXID)\r\n",
	    "* STATUS INBOX (MESSAGES 2 RECENT 0 UIDNEXT 3 UIDVALIDITY 1001 UNSEEN 2 HIGHESTMODSEQ "
	    "2)\r\na OK STATUS completed\r\nb NO [CANNOT] that cannot be done with this mailbox\r\n"
	    "c NO [NONEXISTENT] there is no such mailbox\r\n"
	    "d BAD STATUS mailbox (items): there is no such status item\r\n"
	    "e BAD STATUS mailbox (items): an atom is missing\r\n"
	    "* STATUS INBOX (APPENDLIMIT 1048576 MAILBOXID (M1-3e9))\r\nf OK STATUS completed\r\n",
	    false },
	{ "create, rename, delete", NULL,
	    "a CREATE x/y/\r\nb CREATE x/y\r\nc RENAME x/y z\r\nd RENAME x/y z\r\ne DELETE z\r\n"
	    "f DELETE z\r\ng DELETE INBOX\r\nh LIST \"\" *\r\n",
	    "a OK [MAILBOXID (M2-3ea)] CREATE completed\r\n"
	    "b NO [ALREADYEXISTS] there is a mailbox of that name\r\nc OK RENAME completed\r\n"
	    "d NO [NONEXISTENT] there is no such mailbox\r\ne OK DELETE completed\r\n"
	    "f NO [NONEXISTENT] there is no such mailbox\r\n"
	    "g NO [CANNOT] that cannot be done with this mailbox\r\n" LIST_INBOX
	    "* LIST (\\Noselect \\HasChildren) \"/\" x\r\nh OK LIST completed\r\n",
	    false },
	{ "special uses", NULL,
	    "a CREATE mist (USE (\\Junk))\r\nb CREATE alles (USE (\\All))\r\nc CREATE x (FOO)\r\n"
	    "d LIST (SPECIAL-USE) \"\" * RETURN (SPECIAL-USE)\r\n",
	    "a OK [MAILBOXID (M2-3ea)] CREATE completed\r\n"
	    "b NO [USEATTR] a mailbox cannot have this use\r\n"
	    "c BAD CREATE: there is no such parameter\r\n"
	    "* LIST (\\HasNoChildren \\Junk) \"/\" mist\r\nd OK LIST completed\r\n",
	    false },
	{ "subscribe", NULL,
	    "a SUBSCRIBE nix\r\nb LSUB \"\" *\r\nc UNSUBSCRIBE nix\r\nd LSUB \"\" *\r\n",
	    "a OK SUBSCRIBE completed\r\n* LSUB () \"/\" nix\r\nb OK LSUB completed\r\n"
	    "c OK UNSUBSCRIBE completed\r\nd OK LSUB completed\r\n",
	    false },
	{ "modified UTF-7", german, "a LIST \"\" E*\r\nb STATUS \"Entw&APw-rfe\" (MESSAGES)\r\n",
	    "* LIST (\\HasNoChildren \\Drafts) \"/\" Entw&APw-rfe\r\na OK LIST completed\r\n"
	    "* STATUS Entw&APw-rfe (MESSAGES 0)\r\nb OK STATUS completed\r\n",
	    false },
	{ "UTF-8", german,
	    "a ENABLE UTF8=ACCEPT\r\nb LIST \"\" E*\r\nc STATUS \"Entwu\xcc\x88rfe\" "
	    "(MESSAGES)\r\n",
	    "* ENABLED UTF8=ACCEPT\r\na OK ENABLE completed\r\n"
	    "* LIST (\\HasNoChildren \\Drafts) \"/\" \"Entw\xc3\xbcrfe\"\r\nb OK LIST completed\r\n"
	    "* STATUS \"Entw\xc3\xbcrfe\" (MESSAGES 0)\r\nc OK STATUS completed\r\n",
	    false },
	{ "old names", german,
	    "a ENABLE IMAP4rev2\r\nb CREATE \"u\xcc\x88\"\r\nc RENAME \"\xc3\xbc\" x\r\n",
	    "* ENABLED IMAP4rev2\r\na OK ENABLE completed\r\n"
	    "* LIST () \"/\" \"\xc3\xbc\" (\"OLDNAME\" (\"u\xcc\x88\"))\r\n"
	    "b OK [MAILBOXID (M3-3eb)] CREATE completed\r\n"
	    "* LIST () \"/\" x (\"OLDNAME\" (\"\xc3\xbc\"))\r\nc OK RENAME completed\r\n",
	    false },
	{ "namespace and quota", limited, "a NAMESPACE\r\nb GETQUOTA \"\"\r\n",
	    "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\na OK NAMESPACE completed\r\n"
	    "* QUOTA \"\" (STORAGE 1 9)\r\nb OK GETQUOTA completed\r\n",
	    false },
	{ "delete what is selected", tree,
	    "a SELECT Sent\r\nb DELETE Sent\r\nc NOOP\r\nd CLOSE\r\n",
	    "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n"
	    "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] flags "
	    "permitted\r\n* 0 EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY 1002] UIDs valid\r\n"
	    "* OK [UIDNEXT 1] next UID\r\n* OK [HIGHESTMODSEQ 1] highest\r\n"
	    "* OK [MAILBOXID (M2-3ea)] its id\r\na OK [READ-WRITE] SELECT completed\r\n"
	    "* OK [CLOSED] the selected mailbox was deleted\r\nb OK DELETE completed\r\n"
	    "c OK NOOP completed\r\nd BAD select a mailbox first\r\n",
	    false },
};

static void
test_rows(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (!talk_row_ok(&rows[i]))
			fail_msg("%s", rows[i].name);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
