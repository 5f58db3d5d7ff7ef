#include "node/cache.h"

#include "base/mem.h"

#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>

int
cache_make_dirs(const char *path, struct err *e)
{
	AUTO_FREE char *copy = mem_strdup(path);

	for (char *p = copy + 1;; p++) {
		char c = *p;

		if (c != '/' && c)
			continue;
		*p = '\0';
		if (mkdir(copy, 0700) < 0 && errno != EEXIST)
			return err_errno(e, "%s", copy);
		*p = c;
		if (!c)
			return 0;
	}
}

static int
write_synced(const char *path, const void *p, size_t n, struct err *e)
{
	AUTO_CLOSE fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_errno(e, "%s", path);
	while (n) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return err_errno(e, "%s", path);
		p = (const char *)p + w;
		n -= (size_t)w;
	}
	return fsync(fd) < 0 ? err_errno(e, "%s", path) : 0;
}

int
cache_write(const char *dir, const char *name, const void *p, size_t n, struct err *e)
{
	AUTO_FREE char *to = mem_printf("%s/%s", dir, name);
	AUTO_FREE char *tmp = mem_printf("%s/.%s.new", dir, name);
	AUTO_CLOSE d = -1;
	int r = write_synced(tmp, p, n, e);

	if (r < 0)
		return r;
	if (rename(tmp, to) < 0)
		return err_errno(e, "%s", to);
	d = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d >= 0)
		fsync(d);
	return 0;
}

int
cache_save(const char *dir, const struct node_config *c, const char *cursor, struct err *e)
{
	json_t *doc = node_config_encode(c);
	char *text;
	int r;

	json_object_set_new(doc, "cursor", json_string(cursor));
	text = json_dumps(doc, JSON_COMPACT);
	json_decref(doc);
	if (!text)
		return err_set(e, -EINVAL, "config cache: not UTF-8");
	r = cache_write(dir, "config.json", text, strlen(text), e);
	mem_wipe(text, strlen(text));
	free(text);
	return r;
}

int
cache_load(const char *dir, struct node_config **ret, char **ret_cursor, struct err *e)
{
	AUTO_FREE char *path = mem_printf("%s/config.json", dir);
	json_error_t je;
	json_t *doc;
	const char *cursor;
	int r;

	if (access(path, F_OK) < 0)
		return err_errno(e, "%s", path);
	doc = json_load_file(path, JSON_REJECT_DUPLICATES, &je);
	if (!doc)
		return err_set(e, -EBADMSG, "%s: line %d: %s", path, je.line, je.text);
	r = node_config_from_json(doc, ret, e);
	cursor = json_string_value(json_object_get(doc, "cursor"));
	if (r == 0)
		*ret_cursor = mem_strdup(cursor ? cursor : "");
	json_decref(doc);
	return r < 0 ? err_wrap(e, r, "%s", path) : 0;
}
