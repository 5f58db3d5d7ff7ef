/* golden-node IN OK: each line of IN is a node object; what the parser says of it (the canonical
 * object, or the error) must be the lines of OK. GOLDEN=accept rewrites OK. */
#include "base/buf.h"
#include "fabric/node.h"

#include <jansson.h>

static void
answer(const char *line, size_t n, struct buf *out)
{
	struct node_object *o;
	struct err e = { 0 };
	json_t *v;
	char *text;

	if (node_object_parse(line, n, &o, &e) < 0) {
		buf_printf(out, "error: %s\n", e.text);
		return;
	}
	v = node_object_encode(o);
	text = json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS);
	buf_printf(out, "%s\n", text);
	free(text);
	json_decref(v);
	node_object_destroy(o);
}

static int
compare(const char *path, struct buf *out)
{
	const char *mode = getenv("GOLDEN");
	FILE *f = fopen(path, mode && !strcmp(mode, "accept") ? "w+" : "r");
	AUTO_FREE char *line = NULL;
	const char *p = buf_str(out);
	size_t cap = 0, n_line = 0;
	ssize_t n;

	if (!f) {
		perror(path);
		return 1;
	}
	if (mode && !strcmp(mode, "accept")) {
		fputs(p, f);
		fclose(f);
		return 0;
	}
	while ((n = getline(&line, &cap, f)) > 0) {
		n_line++;
		if (strncmp(p, line, (size_t)n)) {
			fprintf(stderr, "%s:%zu: expected\n%sgot\n%.*s\n", path, n_line, line,
				(int)strcspn(p, "\n"), p);
			fclose(f);
			return 1;
		}
		p += n;
	}
	fclose(f);
	if (*p)
		fprintf(stderr, "%s: more than expected:\n%s", path, p);
	return *p != '\0';
}

int
main(int argc, char **argv)
{
	AUTO_BUF out = { 0 };
	AUTO_FREE char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	FILE *f;

	if (argc != 3 || !(f = fopen(argv[1], "r")))
		return 2;
	while ((n = getline(&line, &cap, f)) > 0)
		if (n > 1)
			answer(line, (size_t)n, &out);
	fclose(f);
	return compare(argv[2], &out);
}
