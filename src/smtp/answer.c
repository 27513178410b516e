#include "smtp/answer.h"

#include "base/num.h"

#include <stdint.h>

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* --- replies --- */

void
answer_init(struct answer *a)
{
	*a = (struct answer){ .text = BUF_INIT(ANSWER_TEXT_MAX) };
}

void
answer_reset(struct answer *a)
{
	struct buf text = a->text;
	buf_reset(&text);
	*a = (struct answer){ .text = text };
}

void
answer_done(struct answer *a)
{
	buf_done(&a->text);
	*a = (struct answer){ .text = BUF_INIT(ANSWER_TEXT_MAX) };
}

static struct str
without_end(struct str line)
{
	if (line.len > 0 && line.p[line.len - 1] == '\n')
		line.len--;
	if (line.len > 0 && line.p[line.len - 1] == '\r')
		line.len--;
	return line;
}

/* "5.7.1 text", and "#5.7.1 text" as AsyncOS writes it. */
static void
enhanced_read(struct answer *a, struct str text)
{
	size_t at = text.len > 0 && text.p[0] == '#';
	size_t end = at;
	unsigned dots = 0, run = 0;
	for (; end < text.len && (is_digit(text.p[end]) || text.p[end] == '.'); end++) {
		bool dot = text.p[end] == '.';
		if (dot ? run == 0 : ++run > 3)
			return;
		if (dot) {
			dots++;
			run = 0;
		}
	}
	struct str code = str_n(text.p + at, end - at);
	bool parted = end == text.len || str_find_any(str_n(text.p + end, 1), " \t") == 0;
	if (dots != 2 || run == 0 || !parted || code.p[1] != '.')
		return;
	if (code.p[0] == '2' || code.p[0] == '4' || code.p[0] == '5')
		str_copy(a->enhanced, sizeof(a->enhanced), code);
}

static void
text_keep(struct answer *a, struct str text)
{
	size_t room = a->cut ? 0 : a->text.max - a->text.len;
	size_t need = text.len + (a->code != 0);
	if (need > room) {
		a->cut = true;
		if (room == 0)
			return;
		text = str_first(text, room - (a->code != 0));
	}
	if (a->code != 0)
		buf_putc(&a->text, '\n');
	buf_puts(&a->text, text);
	if (a->text.failed)
		a->cut = true;
}

/* Some servers, or what stands in front of them, begin as a telnet server does: IAC, WILL to DONT,
 * and an option (RFC 854). No reply begins with such an octet. */
static struct str
without_options(struct str line)
{
	while (line.len >= 3 && line.p[0] == '\xff' && line.p[1] >= '\xfb' && line.p[1] <= '\xfe')
		line = str_skip(line, 3);
	return line;
}

enum answer_status
answer_line(struct answer *a, struct str line)
{
	line = without_options(without_end(line));
	/* Lines that are none count, too: a server that sends nothing else must not hold us. */
	if (a->lines >= ANSWER_LINES_MAX)
		return ANSWER_ENDLESS;
	a->lines++;
	if (line.len < 3 || line.p[0] < '2' || line.p[0] > '5' || !is_digit(line.p[1]) ||
	    !is_digit(line.p[2]) || (line.len > 3 && is_digit(line.p[3])))
		return ANSWER_STRANGE;
	int code = (line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0');
	bool more = line.len > 3 && line.p[3] == '-';
	bool parted = more || (line.len > 3 && line.p[3] == ' ');
	struct str text = str_skip(line, parted ? 4 : 3);
	if (a->enhanced[0] == '\0')
		enhanced_read(a, text);
	text_keep(a, text);
	a->mixed = a->mixed || (a->code != 0 && a->code != code);
	a->code = code;
	return more ? ANSWER_MORE : ANSWER_DONE;
}

bool
answer_good(const struct answer *a)
{
	return a->code >= 200 && a->code <= 399;
}

bool
answer_temporary(const struct answer *a)
{
	return a->code >= 400 && a->code <= 499;
}

/* --- EHLO --- */

const struct caps_keyword caps_keywords[CAPS_COUNT] = {
	[CAPS_8BITMIME] = { "8BITMIME", "letters may have octets above 127 (RFC 6152)" },
	[CAPS_PIPELINING] = { "PIPELINING", "several commands at a time (RFC 2920)" },
	[CAPS_SIZE] = { "SIZE", "the size is told beforehand, and may have a limit (RFC 1870)" },
	[CAPS_STARTTLS] = { "STARTTLS", "the connection can be encrypted (RFC 3207)" },
	[CAPS_AUTH] = { "AUTH", "logins, by these mechanisms (RFC 4954)" },
	[CAPS_DSN] = { "DSN", "delivery reports can be asked for (RFC 3461)" },
	[CAPS_CHUNKING] = { "CHUNKING", "BDAT: letters in counted chunks (RFC 3030)" },
	[CAPS_BINARYMIME] = { "BINARYMIME", "letters of any octets, by BDAT (RFC 3030)" },
	[CAPS_SMTPUTF8] = { "SMTPUTF8", "UTF-8 in addresses and headers (RFC 6531)" },
	[CAPS_ENHANCEDSTATUSCODES] = { "ENHANCEDSTATUSCODES",
	    "replies have codes like 5.7.1 (RFC 2034)" },
	[CAPS_DELIVERBY] = { "DELIVERBY", "a time limit for the delivery (RFC 2852)" },
	[CAPS_ETRN] = { "ETRN", "asks the server to send what waits for a domain (RFC 1985)" },
	[CAPS_ATRN] = { "ATRN", "fetches the mail of a domain on this connection (RFC 2645)" },
	[CAPS_TURN] = { "TURN", "swaps the roles without any check (RFC 821, obsolete)" },
	[CAPS_HELP] = { "HELP", "tells of its commands (RFC 5321 4.1.1.8)" },
	[CAPS_VRFY] = { "VRFY", "checks an address, if it cares to (RFC 5321 3.5)" },
	[CAPS_EXPN] = { "EXPN", "expands a list, if it cares to (RFC 5321 3.5)" },
	[CAPS_REQUIRETLS] = { "REQUIRETLS", "TLS for the whole way can be required (RFC 8689)" },
	[CAPS_FUTURERELEASE] = { "FUTURERELEASE", "letters can be held for later (RFC 4865)" },
	[CAPS_MT_PRIORITY] = { "MT-PRIORITY", "letters can have a priority (RFC 6710)" },
	[CAPS_LIMITS] = { "LIMITS", "how many recipients and letters may be (RFC 9422)" },
	[CAPS_XCLIENT] = { "XCLIENT", "a proxy may say who the client is (Postfix)" },
	[CAPS_XFORWARD] = { "XFORWARD", "a filter may say where a letter came from (Postfix)" },
	[CAPS_XVERP] = { "XVERP", "a sender address for each recipient (Postfix)" },
	[CAPS_PRDR] = { "PRDR", "an answer for each recipient behind the letter (Exim)" },
	[CAPS_BURL] = { "BURL", "the letter can be fetched from an IMAP server (RFC 4468)" },
	[CAPS_NO_SOLICITING] = { "NO-SOLICITING", "no advertisements, please (RFC 3865)" },
	[CAPS_CHECKPOINT] = { "CHECKPOINT", "goes on where a transfer broke off (RFC 1845)" },
	[CAPS_SUBMITTER] = { "SUBMITTER", "MAIL may name who is responsible (RFC 4405)" },
	[CAPS_XMRG] = { "XMRG", "mail merge of IronPort and PowerMTA" },
};

void
caps_init(struct caps *c)
{
	*c = (struct caps){ .lines = BUF_INIT(ANSWER_TEXT_MAX) };
}

void
caps_done(struct caps *c)
{
	buf_done(&c->lines);
	caps_init(c);
}

static char
upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static bool
mech_valid(struct str word)
{
	for (size_t i = 0; i < word.len; i++)
		if (!is_alpha(word.p[i]) && !is_digit(word.p[i]) && word.p[i] != '-' &&
		    word.p[i] != '_')
			return false;
	return word.len > 0;
}

static void
mechs_add(struct caps *c, struct str args)
{
	for (struct str word; (word = str_word(&args)).len > 0;) {
		size_t at = strlen(c->mechs);
		if (!mech_valid(word) || caps_mech(c, word) ||
		    at + 1 + word.len >= sizeof(c->mechs))
			continue;
		if (at > 0)
			c->mechs[at++] = ' ';
		for (size_t i = 0; i < word.len; i++)
			c->mechs[at++] = upper(word.p[i]);
		c->mechs[at] = '\0';
	}
}

static void
limits_read(struct caps *c, struct str args)
{
	for (struct str word; (word = str_word(&args)).len > 0;) {
		struct str name = str_cut(&word, '=');
		uint64_t n;
		if (!word.p || !num_u64(word, UINT64_MAX, &n))
			continue;
		if (str_ieq(name, STR("RCPTMAX")))
			c->rcptmax = n;
		else if (str_ieq(name, STR("MAILMAX")))
			c->mailmax = n;
	}
}

/* ehlo-keyword of RFC 5321 4.1.1.1; then the end, a blank, or "=" as old clients want it. */
static size_t
keyword_len(struct str line)
{
	size_t n = 0;
	while (n < line.len &&
	       (is_alpha(line.p[n]) || is_digit(line.p[n]) || (n > 0 && line.p[n] == '-')))
		n++;
	bool whole = n == line.len || line.p[n] == ' ' || line.p[n] == '\t' || line.p[n] == '=';
	return whole ? n : 0;
}

static void
keyword_read(struct caps *c, struct str line)
{
	size_t n = keyword_len(line);
	struct str name = str_first(line, n), args = str_skip(line, n + 1);
	if (n == 0 || (str_ieq(name, STR("OK")) && args.len == 0))
		return;
	if (c->lines.len > 0)
		buf_putc(&c->lines, '\n');
	buf_puts(&c->lines, line);
	size_t bit = 0;
	while (bit < CAPS_COUNT && !str_ieq(name, str_of(caps_keywords[bit].name)))
		bit++;
	if (bit == CAPS_COUNT)
		return;
	c->has |= UINT32_C(1) << bit;
	if (bit == CAPS_SIZE && !num_u64(str_trim(args), UINT64_MAX, &c->size))
		c->size = 0; /* no number: nothing is told */
	else if (bit == CAPS_AUTH)
		mechs_add(c, args);
	else if (bit == CAPS_LIMITS)
		limits_read(c, args);
}

void
caps_read(struct caps *c, const struct answer *a)
{
	struct buf lines = c->lines;
	buf_reset(&lines);
	*c = (struct caps){ .lines = lines };
	struct str left = buf_str(&a->text);
	struct str first = str_cut(&left, '\n');
	struct str name = str_word(&first);
	str_copy(c->greets, sizeof(c->greets), str_first(name, sizeof(c->greets) - 1));
	while (left.p)
		keyword_read(c, str_trim(str_cut(&left, '\n')));
}

bool
caps_have(const struct caps *c, enum caps_bit bit)
{
	return (c->has >> bit) & 1u;
}

bool
caps_mech(const struct caps *c, struct str mech)
{
	struct str mechs = str_of(c->mechs);
	for (struct str word; (word = str_word(&mechs)).len > 0;)
		if (str_ieq(word, mech))
			return true;
	return false;
}
