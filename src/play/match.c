#include "play/match.h"

#include "base/check.h"

#include <regex.h>
#include <stdlib.h>

static int
compile(regex_t *re, struct str ere)
{
	char *text = str_dup(ere);
	int code = regcomp(re, text, REG_EXTENDED);

	free(text);
	return code;
}

static enum match_result
search(struct str ere, struct str subject, regmatch_t at[2])
{
	regex_t re;

	if (str_find(ere, '\0') < ere.len || compile(&re, ere) != 0)
		return MATCH_BAD_PATTERN;
	int code = REG_NOMATCH;
	if (str_find(subject, '\0') == subject.len) {
		char *text = str_dup(subject);
		code = regexec(&re, text, 2, at, 0);
		free(text);
	}
	regfree(&re);
	return code == 0 ? MATCH_YES : MATCH_NO;
}

/* POSIX matching is leftmost and longest: where the whole subject can match, that is the match
 * regexec() reports. */
enum match_result
match_whole(struct str ere, struct str subject, struct str *ret_group)
{
	regmatch_t at[2];
	enum match_result r = search(ere, subject, at);

	if (r != MATCH_YES)
		return r;
	if (at[0].rm_so != 0 || (size_t)at[0].rm_eo != subject.len)
		return MATCH_NO;
	if (ret_group) {
		*ret_group = STR("");
		if (at[1].rm_so >= 0)
			*ret_group =
			    str_n(subject.p + at[1].rm_so, (size_t)(at[1].rm_eo - at[1].rm_so));
	}
	return MATCH_YES;
}

enum match_result
match_part(struct str ere, struct str subject)
{
	regmatch_t at[2];

	return search(ere, subject, at);
}

bool
match_check(struct str ere, struct buf *why)
{
	regex_t re;
	int code = compile(&re, ere);
	char text[128];

	if (code != 0)
		regerror(code, &re, text, sizeof(text));
	else
		regfree(&re);
	if (code != 0)
		buf_putz(why, text);
	return code == 0;
}
