#include "dialect/dialect.h"

bool
dialect_find_builtin(void *arg, struct str name, struct str *ret_text)
{
	for (const struct dialect_source *d = dialect_builtin; d->name; d++) {
		if (str_eq(name, str_of(d->name))) {
			*ret_text = d->text;
			return true;
		}
	}
	return false;
}
