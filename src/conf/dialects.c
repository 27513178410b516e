/* dialect_dir: every NAME.dialect in one directory, read whole. */
#include "conf/conf_priv.h"

#include "sys/file.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

static bool
read_one(struct conf *c, const char *dir, const char *entry, struct str name, struct buf *err)
{
	struct buf path = BUF_INIT(8192), text = BUF_INIT(CONF_DIALECT_MAX);
	bool ok = false;
	buf_putf(&path, "%s/%s", dir, entry);
	const char *z = buf_cstr(&path);
	int rc = z && !path.failed ? file_read_all(z, CONF_DIALECT_MAX, &text) : -ENAMETOOLONG;
	if (rc < 0)
		buf_putf(err, "cannot read %s/%s: %s; repair or remove the file", dir, entry,
		    strerror(-rc));
	else
		ok = conf_dialect_add(c, name, buf_str(&text), err);
	buf_done(&path);
	buf_done(&text);
	return ok;
}

bool
conf_dialect_dir_read(struct conf *c, const char *dir, struct buf *err)
{
	DIR *d = opendir(dir);
	bool ok = d != NULL;
	if (d == NULL)
		buf_putf(err,
		    "cannot read the directory %s: %s; name one that holds NAME.dialect files", dir,
		    strerror(errno));
	for (struct dirent *e; ok && (e = readdir(d));) {
		struct str name = str_of(e->d_name);
		if (name.len && name.p[0] != '.' && str_ends(name, STR(".dialect")))
			ok = read_one(c, dir, e->d_name, str_first(name, name.len - 8), err);
	}
	if (d)
		closedir(d);
	return ok;
}
