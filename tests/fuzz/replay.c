/* Replays files through a fuzz target: `replay FILE|DIR...`. Linked with one target each, so that
 * the collected corpus is a test with any compiler; libFuzzer itself is used by `make fuzz`.
 * Each input is copied to a heap block of its exact size, so that ASan sees a read past its end. */
#include "base/base.h"
#include "base/mem.h"

#include <dirent.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t n_inputs;

static int
replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct stat st;
	uint8_t *p;

	if (!f || fstat(fileno(f), &st) < 0) {
		perror(path);
		if (f)
			fclose(f);
		return -1;
	}
	p = malloc(st.st_size ? (size_t)st.st_size : 1);
	if (!p || fread(p, 1, (size_t)st.st_size, f) != (size_t)st.st_size) {
		fprintf(stderr, "%s: short read\n", path);
		fclose(f);
		free(p);
		return -1;
	}
	fclose(f);
	LLVMFuzzerTestOneInput(p, (size_t)st.st_size);
	free(p);
	n_inputs++;
	return 0;
}

static int
replay(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *de;
	int r = 0;

	if (!d)
		return replay_file(path);
	while ((de = readdir(d)) && r == 0) {
		char *name;

		if (de->d_name[0] == '.')
			continue;
		name = mem_printf("%s/%s", path, de->d_name);
		r = replay_file(name);
		free(name);
	}
	closedir(d);
	return r;
}

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (replay(argv[i]) < 0)
			return 1;
	printf("%zu inputs replayed\n", n_inputs);
	return n_inputs ? 0 : 1;
}
