/* A directory for targets that need a file: in /tmp, emptied and removed when the program ends. */
#pragma once

#include "base/base.h"
#include "base/mem.h"

#include <dirent.h>

static char scratch_path[] = "/tmp/wayleave-fuzz-XXXXXX";

static void
scratch_remove(void)
{
	DIR *d = opendir(scratch_path);
	struct dirent *de;

	while (d && (de = readdir(d))) {
		char *path = mem_printf("%s/%s", scratch_path, de->d_name);

		unlink(path);
		free(path);
	}
	if (d)
		closedir(d);
	rmdir(scratch_path);
}

/* Once, at the first input. */
static inline void
scratch_make(void)
{
	if (!mkdtemp(scratch_path))
		abort();
	atexit(scratch_remove);
}
