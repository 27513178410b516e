#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/list.h"

struct item {
	int n;
	struct list node;
};

static int
digits(struct list *head)
{
	int v = 0, back = 0, scale = 1;
	list_each(l, head) v = v * 10 + list_entry(l, struct item, node)->n;
	for (struct list *l = head->prev; l != head; l = l->prev, scale *= 10)
		back += list_entry(l, struct item, node)->n * scale;
	assert_int_equal(v, back);
	return v;
}

static void
adds_and_removes(void **state)
{
	struct list head = LIST_INIT(head);
	struct item i[5] = { { .n = 1 }, { .n = 2 }, { .n = 3 }, { .n = 4 }, { .n = 5 } };
	assert_true(list_empty(&head));
	assert_int_equal(digits(&head), 0);
	list_add_tail(&head, &i[1].node);
	list_add_tail(&head, &i[2].node);
	list_add_head(&head, &i[0].node);
	list_add_tail(&head, &i[3].node);
	assert_int_equal(digits(&head), 1234);
	list_del(&i[1].node);
	list_del(&i[1].node);
	assert_int_equal(digits(&head), 134);
	list_add_head(&head, &i[1].node);
	list_del(&i[3].node);
	assert_int_equal(digits(&head), 213);
	list_add_tail(&i[0].node, &i[4].node); /* before the node that is named */
	assert_int_equal(digits(&head), 2513);
}

static void
walks_while_removing(void **state)
{
	struct list head, other;
	struct item i[9];
	list_init(&head);
	list_init(&other);
	for (int n = 0; n < 9; n++) {
		i[n].n = n + 1;
		list_add_tail(&head, &i[n].node);
	}
	list_each(l, &head)
	{
		if (list_entry(l, struct item, node)->n % 2)
			continue;
		list_del(l);
		list_add_head(&other, l);
	}
	assert_int_equal(digits(&head), 13579);
	assert_int_equal(digits(&other), 8642);
	list_each(l, &head) list_del(l);
	assert_true(list_empty(&head));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(adds_and_removes),
		cmocka_unit_test(walks_while_removing) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
