/* Listeners at a unix socket: where it is, who may use it, and that it goes when we go. */
#include "roles/parent/parent_priv.h"

#include "base/num.h"
#include "sys/file.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *
unix_place(const struct conf *c, const struct conf_listener *l)
{
	const char *path = conf_unix_path(l);
	struct buf b = BUF_INIT(8192);
	if (!path)
		return NULL;
	if (path[0] != '/')
		buf_putf(&b, "%s/", c->data_dir);
	buf_putz(&b, path);
	return buf_cstr(&b) ? b.p : xstrdup(path);
}

static mode_t
mode_of(const char *octal)
{
	mode_t mode = 0;
	for (; *octal; octal++)
		mode = mode << 3 | (mode_t)(*octal - '0');
	return mode & 0777;
}

/* A number or a name; empty: -1. */
static bool
id_of(const char *name, bool group, uint32_t *ret)
{
	uint64_t n;
	*ret = UINT32_MAX;
	if (!name[0])
		return true;
	if (num_u64(str_of(name), UINT32_MAX - 1, &n)) {
		*ret = (uint32_t)n;
		return true;
	}
	const struct passwd *pw = group ? NULL : getpwnam(name);
	const struct group *gr = group ? getgrnam(name) : NULL;
	if (pw)
		*ret = pw->pw_uid;
	if (gr)
		*ret = gr->gr_gid;
	return pw || gr;
}

bool
unix_rights(const struct conf_listener *l, struct unix_access *ret, struct buf *err)
{
	uint32_t uid, gid;
	if (!conf_unix_path(l)) {
		*ret = (struct unix_access){ 0 };
		return true;
	}
	bool user = id_of(l->socket_user, false, &uid), group = id_of(l->socket_group, true, &gid);
	if (!user)
		buf_putf(err, "%s: socket.user: there is no account %s; name one that there is\n",
		    l->address, l->socket_user);
	if (!group)
		buf_putf(err, "%s: socket.group: there is no group %s; name one that there is\n",
		    l->address, l->socket_group);
	*ret = (struct unix_access){ mode_of(l->socket_mode), uid, gid };
	return user && group;
}

/* /run is empty after every start of the machine. */
static int
make_directory(const char *path)
{
	struct str dir = str_of(path);
	size_t slash = str_rfind(dir, '/');
	if (slash == 0 || slash >= dir.len)
		return -ENOENT;
	char *name = str_dup(str_first(dir, slash));
	mode_t before = umask(022);
	int r = dir_make(name, 0755);
	umask(before);
	free(name);
	return r;
}

int
unix_open(struct listener *l, const struct unix_access *a)
{
	int r = listen_unix_for(l->path, a, &l->sock[0]);
	if (r == -ENOENT && make_directory(l->path) == 0)
		r = listen_unix_for(l->path, a, &l->sock[0]);
	if (r == 0)
		r = unix_file_of(l->path, &l->file);
	l->access = *a;
	return r;
}

void
unix_close(struct listener *l)
{
	if (l->path && l->file.ino)
		unix_file_remove(l->path, &l->file);
	l->file = (struct unix_file){ 0 };
}

void
unix_explain(const struct listener *l, int code, struct buf *err)
{
	static const struct {
		int code;
		const char *remedy;
	} rows[] = {
		{ EADDRINUSE, "another server answers there; stop it, or choose another path" },
		{ EEXIST, "a file that is no socket has this name; remove it, or choose another" },
		{ ENOENT, "make its directory, or choose another path" },
		{ ENOTDIR, "a file stands where its directory should be; choose another path" },
		{ EACCES, "its directory must be writable for the one who starts the server" },
		{ EPERM, "only root can give a socket to others; start as root, or leave "
			 "socket.user and socket.group out" },
		{ ENAMETOOLONG, "choose a shorter path" },
	};
	const char *remedy = "see unix(7)";
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].code == code)
			remedy = rows[i].remedy;
	buf_putf(err, "cannot listen at unix:%s: %s; %s\n", l->path, strerror(code), remedy);
}
