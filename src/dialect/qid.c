#include "dialect/dialect.h"

#include "base/date.h"

/* A letter's number taken apart. Fronts are counted below 64 (ipc: FRONT_MAX), so six of its
 * ten bits say which one it was, and the shorter styles leave the others out. */
struct letter {
	uint64_t ms;
	unsigned front, sequence;
};

static struct letter
letter_of(uint64_t id)
{
	return (struct letter){ id >> 22, (unsigned)(id >> 12) & 63, (unsigned)id & 4095 };
}

static void
qid_hex(struct buf *out, const struct qid_facts *f)
{
	buf_putf(out, "%016llx", (unsigned long long)f->letter);
}

/* Five digits and at least six, as Postfix has them of microseconds and inode. */
static void
qid_postfix(struct buf *out, const struct qid_facts *f)
{
	struct letter l = letter_of(f->letter);
	uint64_t n = (l.ms << 6 | l.front) << 12 | l.sequence;
	buf_putf(out, "%05X%06llX", (unsigned)(n & 0xfffff), (unsigned long long)(n >> 20));
}

/* Sendmail 8.14: the second in base 60, then what makes it unique within that second where
 * Sendmail has a sequence and its process id. */
static void
qid_sendmail(struct buf *out, const struct qid_facts *f)
{
	static const char digit[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx";
	struct letter l = letter_of(f->letter);
	struct date d = date_of((int64_t)(l.ms / 1000), 0);
	uint64_t n = ((l.ms % 1000) << 6 | l.front) << 12 | l.sequence;
	unsigned high = (unsigned)(n / 1000000);
	const unsigned v[8] = { (unsigned)(d.year - 1900), (unsigned)d.mon - 1, (unsigned)d.day,
		(unsigned)d.hour, (unsigned)d.min, (unsigned)d.sec, high / 60, high % 60 };
	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		buf_putc(out, digit[v[i] % 60]);
	buf_putf(out, "%06u", (unsigned)(n % 1000000));
}

/* RFC 9562 5.4: a random UUID. */
static void
qid_exchange(struct buf *out, const struct qid_facts *f)
{
	unsigned char u[16];
	memcpy(u, f->random, sizeof(u));
	u[6] = (unsigned char)((u[6] & 0x0f) | 0x40);
	u[8] = (unsigned char)((u[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < sizeof(u); i++)
		buf_putf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", u[i]);
}

void
qid_rand7(char out[8], const struct qid_facts *f)
{
	static const char digit[] =
	    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	uint64_t n = 0;
	for (size_t i = 0; i < 8; i++)
		n = n << 8 | f->random[i];
	for (size_t i = 0; i < 7; i++, n /= sizeof(digit) - 1)
		out[i] = digit[n % (sizeof(digit) - 1)];
	out[7] = '\0';
}

/* IIS 6.0: host, seven letters and digits, a counter, host. */
static void
qid_iis(struct buf *out, const struct qid_facts *f)
{
	char rand7[8];
	qid_rand7(rand7, f);
	for (size_t i = 0; i < f->host.len; i++) {
		char c = f->host.p[i];
		buf_putc(out, c >= 'a' && c <= 'z' ? (char)(c - 0x20) : c);
	}
	buf_putf(out, "%s%08llx@" STR_FMT, rand7, (unsigned long long)f->counter, STR_ARG(f->host));
}

static void
qid_ironport(struct buf *out, const struct qid_facts *f)
{
	buf_putf(out, "%llu", (unsigned long long)f->counter);
}

/* RFC 4648 5: 16 random octets are 22 digits without padding. */
static void
qid_b64url22(struct buf *out, const struct qid_facts *f)
{
	static const char digit[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned held = 0, bits = 0;
	for (size_t i = 0; i < sizeof(f->random); i++) {
		held = held << 8 | f->random[i];
		for (bits += 8; bits >= 6; bits -= 6)
			buf_putc(out, digit[held >> (bits - 6) & 63]);
		held &= 63;
	}
	buf_putc(out, digit[held << (6 - bits) & 63]);
}

void
qid_format(struct buf *out, enum smtp_qid_style style, const struct qid_facts *f)
{
	static void (*const format[QID_STYLE_COUNT])(struct buf * out,
	    const struct qid_facts *f) = {
		[QID_HEX] = qid_hex,
		[QID_POSTFIX] = qid_postfix,
		[QID_SENDMAIL] = qid_sendmail,
		[QID_EXCHANGE] = qid_exchange,
		[QID_IIS] = qid_iis,
		[QID_IRONPORT] = qid_ironport,
		[QID_B64URL22] = qid_b64url22,
	};
	check(style < QID_STYLE_COUNT);
	format[style](out, f);
}
