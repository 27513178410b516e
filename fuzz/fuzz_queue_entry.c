/* What the store gives back of an entry and its state, and targets as routes write them. The first
 * octet picks one. What is taken must be written back as the very same octets; that of an older
 * version as today's, which is then written as the same for ever. */
#include "base/check.h"
#include "queue/entry.h"
#include "queue/target.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
entry(struct str in, struct buf *out)
{
	struct queue_entry e;
	struct queue_rcpt r;
	if (!queue_entry_get(in, &e))
		return false;
	struct wire w = wire_of(e.rcpts);
	for (uint32_t i = 0; i < e.n_rcpts; i++)
		check(queue_rcpt_get(&w, &r) && r.addr.len > 0);
	check(wire_done(&w));
	queue_entry_put(out, &e);
	return true;
}

static bool
state(struct str in, struct buf *out)
{
	struct queue_state s;
	struct queue_told t;
	if (!queue_state_get(in, &s))
		return false;
	struct wire w = wire_of(s.rcpts);
	for (uint32_t i = 0; i < s.n; i++)
		check(queue_told_get(&w, &t) && t.state < RCPT_STATES);
	check(wire_done(&w));
	queue_state_put(out, &s);
	return true;
}

static void
there_and_back(bool (*write)(struct str in, struct buf *out), struct str in)
{
	struct buf out = BUF_INIT(2u << 20), again = BUF_INIT(2u << 20);
	if (write(in, &out)) {
		check(!out.failed);
		bool older = in.p[0] != out.p[0];
		check(!older || write(buf_str(&out), &again));
		check(str_eq(buf_str(&out), older ? buf_str(&again) : in));
	}
	buf_done(&out);
	buf_done(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	char *copy = xmemdup(data + 1, size - 1);
	struct str in = str_n(copy, size - 1);
	struct target t;
	if (data[0] % 3 == 2) {
		if (target_parse(in, &t))
			check(t.host.len <= in.len && t.text.len <= in.len);
		(void)target_match(in, STR("mx.example.net"));
	} else {
		there_and_back(data[0] % 3 ? state : entry, in);
	}
	free(copy);
	return 0;
}
