/* Names, which dns looks up. */
#include "roles/fetch/fetch_priv.h"

static const char no_dns[] = "its name cannot be looked up: dns does not run";
static const char no_addresses[] = "its name leads nowhere, or no name server answers";

bool
fetch_lookup(struct fetch *f, struct name_ask *a, const char *host)
{
	check(a->id == 0);
	if (!f->dns)
		return false;
	a->id = ++f->last_ask;
	list_add_tail(&f->asks, &a->node);
	chan_send(f->dns, IPC_ADDR_ASK, a->id, str_of(host), -1);
	return true;
}

void
fetch_lookup_cancel(struct name_ask *a)
{
	if (a->id)
		list_del(&a->node);
	a->id = 0;
}

static void
end(struct name_ask *a, struct str addresses, const char *why)
{
	fetch_lookup_cancel(a);
	a->fn(a->arg, addresses, why);
}

void
fetch_addresses(struct fetch *f, uint64_t id, struct str addresses)
{
	list_each(n, &f->asks)
	{
		struct name_ask *a = list_entry(n, struct name_ask, node);
		if (a->id != id)
			continue;
		end(a, addresses, addresses.len ? NULL : no_addresses);
		return;
	}
}

void
fetch_no_dns(struct fetch *f)
{
	while (!list_empty(&f->asks))
		end(list_entry(f->asks.next, struct name_ask, node), STR(""), no_dns);
}

const char *
fetch_why_no_dns(void)
{
	return no_dns;
}
