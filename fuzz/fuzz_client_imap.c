/* Any octets as what an IMAP or ManageSieve server says: caps hold, and any split says the same. */
#include "base/check.h"
#include "client/imap.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

#define ARENA_MAX 8192u
#define TEXT_MAX 256u
#define DEPTH_MAX 12u

struct sum {
	uint64_t responses, octets, nodes, literals;
};

static void
count(struct sum *sum, const struct imap_node *n, unsigned depth)
{
	check(depth <= DEPTH_MAX);
	for (; n; n = n->next) {
		check(n->text.len <= TEXT_MAX && n->text.len <= n->size + 1);
		sum->nodes++;
		sum->octets += n->text.len;
		if (n->child)
			count(sum, n->child, depth + 1);
	}
}

static void
literal(void *arg, struct str item, uint64_t size, uint64_t off, struct str piece)
{
	struct sum *sum = arg;
	check(off <= size && piece.len <= size - off && item.len <= TEXT_MAX);
	sum->literals += piece.len;
}

static struct sum
run(const unsigned char *data, size_t size, size_t step, bool sieve)
{
	struct sum sum = { 0 };
	struct imap_reader x;
	struct buf name = BUF_INIT(4 * TEXT_MAX);
	imap_reader_init(&x, ARENA_MAX);
	x.text_max = TEXT_MAX;
	x.depth_max = DEPTH_MAX;
	x.sieve = sieve;
	x.literal = literal;
	x.arg = &sum;
	for (size_t at = 0; at < size; at += step) {
		struct str in = str_n(data + at, MIN(step, size - at));
		const struct imap_response *r;
		while ((r = imap_reader_feed(&x, &in))) {
			sum.responses++;
			sum.octets +=
			    r->tag.len + r->text.len + r->code.len + r->code_args.len + r->name.len;
			count(&sum, r->data, 0);
			buf_reset(&name);
			imap_name_decode(r->name, &name);
			imap_name_encode(r->text, &name);
		}
		check(in.len == 0);
		check(x.token.len <= TEXT_MAX && x.arena.used <= ARENA_MAX);
	}
	imap_reader_done(&x);
	buf_done(&name);
	return sum;
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	if (size < 2)
		return 0;
	bool sieve = data[0] & 1;
	size_t step = data[1] ? data[1] : 1;
	struct sum a = run(data + 2, size - 2, size, sieve),
		   b = run(data + 2, size - 2, step, sieve);
	check(a.responses == b.responses && a.octets == b.octets && a.nodes == b.nodes);
	check(a.literals == b.literals);
	return 0;
}
