#include "base/suggest.h"

#include "base/check.h"

#include <limits.h>

static char
fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c == '-' ? '_' : c;
}

unsigned
suggest_distance(struct str a, struct str b)
{
	unsigned row[3][SUGGEST_MAX + 1];
	check(a.len <= SUGGEST_MAX && b.len <= SUGGEST_MAX);
	for (unsigned j = 0; j <= b.len; j++)
		row[0][j] = j;
	for (unsigned i = 1; i <= a.len; i++) {
		unsigned *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
		now[0] = i;
		for (unsigned j = 1; j <= b.len; j++) {
			char x = fold(a.p[i - 1]), y = fold(b.p[j - 1]);
			now[j] = MIN(MIN(last[j], now[j - 1]) + 1, last[j - 1] + (x != y));
			if (i > 1 && j > 1 && x == fold(b.p[j - 2]) && fold(a.p[i - 2]) == y)
				now[j] = MIN(now[j], before[j - 2] + 1);
		}
	}
	return row[a.len % 3][b.len];
}

void
suggest_init(struct suggest *s, struct str word)
{
	*s = (struct suggest){ .word = word, .cost = UINT_MAX };
}

static bool
is_last_part(struct str name, struct str word)
{
	return name.len > word.len && str_iends(name, word) &&
	       name.p[name.len - word.len - 1] == '.';
}

void
suggest_offer(struct suggest *s, const char *name)
{
	struct str n = str_of(name);
	if (s->word.len == 0 || s->word.len > SUGGEST_MAX || n.len > SUGGEST_MAX)
		return;
	unsigned cost = is_last_part(n, s->word) ? 1 : suggest_distance(s->word, n);
	if (cost < s->cost && cost <= MAX(2u, (unsigned)s->word.len / 3) && cost < s->word.len) {
		s->cost = cost;
		s->best = name;
	}
}

const char *
suggest_best(const struct suggest *s)
{
	return s->best;
}
