/* Tokens of any input: nothing behind it is read, and what is bad stays bad. */
#include "imap/imap_priv.h"

#include "base/check.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void
one(struct imap_lex *x, struct arena *a, unsigned kind)
{
	struct str s;
	struct imap_set set;
	int64_t when;
	uint32_t n;
	uint64_t m;
	switch (kind) {
	case 0:
		(void)imap_lex_atom(x);
		break;
	case 1:
		(void)imap_lex_word(x);
		break;
	case 2:
		(void)imap_lex_string(x, a);
		break;
	case 3:
		(void)imap_lex_astring(x, a);
		break;
	case 4:
		(void)imap_lex_nstring(x, a, &s);
		break;
	case 5:
		(void)imap_lex_list_mailbox(x, a);
		break;
	case 6:
		(void)imap_lex_flag(x, &s);
		break;
	case 7:
		(void)imap_lex_date(x, &when);
		break;
	case 8:
		(void)imap_lex_date_time(x, &when);
		break;
	case 9:
		if (imap_lex_set(x, a, &set))
			check(set.saved || (set.n && set.n <= IMAP_SET_MAX));
		break;
	case 10:
		(void)imap_lex_number(x, &n);
		break;
	case 11:
		if (imap_lex_number64(x, &m))
			check(m <= INT64_MAX);
		break;
	default:
		(void)imap_lex_try(x, (char)kind);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct arena a;
	struct imap_literal l;
	if (size < 8)
		return 0;
	char *text = size > 8 ? xmemdup(data + 8, size - 8) : NULL;
	struct imap_lex x = { .rest = str_n(text, size - 8), .utf8 = data[7] & 1 };
	if (imap_line_literal(x.rest, &l))
		check(l.head <= x.rest.len);
	arena_init(&a, IMAP_ARENA_MAX);
	for (int i = 0; i < 7; i++) {
		size_t left = x.rest.len;
		bool bad = x.bad;
		one(&x, &a, data[i]);
		check(x.rest.len <= left && (!bad || x.bad) && (!x.bad || x.why));
		(void)imap_lex_sp(&x);
	}
	(void)imap_lex_end(&x);
	arena_done(&a);
	free(text);
	return 0;
}
