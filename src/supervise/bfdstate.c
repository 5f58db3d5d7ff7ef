#include "supervise/bfdstate.h"

#include "base/mem.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* The layout is part of the magic: a program with another one starts afresh. */
#define MAGIC (0x7766642d00000000u | sizeof(struct bfdstate_slot))

struct file {
	uint64_t magic;
	uint32_t n_touched; /* slots ever used: the rest of the file is a hole */
	uint32_t spare;
	struct bfdstate_slot slots[BFDSTATE_SLOTS];
};

struct bfdstate {
	struct file *file;
	uint32_t hint; /* no free slot below */
};

/* The compiler must not move stores across; the kernel needs no more for a file mapping. */
static void
barrier(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

int
bfdstate_open(const char *run_dir, struct bfdstate **ret, struct err *e)
{
	AUTO_FREE char *path = mem_printf("%s/%s", run_dir, BFDSTATE_FILE);
	AUTO_CLOSE fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	AUTO(bfdstate) s = mem_alloc(sizeof(*s));
	void *p;

	if (fd < 0 || ftruncate(fd, sizeof(struct file)) < 0)
		return err_errno(e, "%s", path);
	p = mmap(NULL, sizeof(struct file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return err_errno(e, "map %s", path);
	s->file = p;
	if (s->file->magic != MAGIC || s->file->n_touched > BFDSTATE_SLOTS) {
		/* Back to a hole. */
		if (ftruncate(fd, 0) < 0 || ftruncate(fd, sizeof(struct file)) < 0)
			return err_errno(e, "empty %s", path);
		s->file->magic = MAGIC;
	}
	*ret = TAKE(s);
	return 0;
}

void
bfdstate_destroy(struct bfdstate *s)
{
	if (!s)
		return;
	if (s->file)
		munmap(s->file, sizeof(*s->file));
	free(s);
}

struct bfdstate_slot *
bfdstate_alloc(struct bfdstate *s)
{
	for (; s->hint < BFDSTATE_SLOTS; s->hint++) {
		struct bfdstate_slot *slot = &s->file->slots[s->hint];

		if (s->hint < s->file->n_touched && slot->is_used)
			continue;
		s->file->n_touched = MAX(s->file->n_touched, s->hint + 1);
		memset(slot, 0, sizeof(*slot));
		s->hint++;
		return slot;
	}
	return NULL;
}

void
bfdstate_free(struct bfdstate *s, struct bfdstate_slot *slot)
{
	slot->is_used = 0;
	s->hint = MIN(s->hint, (uint32_t)(slot - s->file->slots));
}

void
bfdstate_save(struct bfdstate_slot *slot, const struct bfd_session *session)
{
	uint32_t next = !slot->current;

	bfd_session_save(session, &slot->copy[next]);
	barrier();
	slot->current = next;
	barrier();
	slot->is_used = 1;
}

const struct bfd_saved *
bfdstate_saved(const struct bfdstate_slot *slot)
{
	return &slot->copy[slot->current & 1];
}

struct bfdstate_slot *
bfdstate_next(struct bfdstate *s, uint32_t *it)
{
	while (*it < s->file->n_touched) {
		struct bfdstate_slot *slot = &s->file->slots[(*it)++];

		if (slot->is_used)
			return slot;
	}
	return NULL;
}
