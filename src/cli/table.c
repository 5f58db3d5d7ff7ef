/* Tables for people: headings in capitals, columns as wide as their widest cell, two blanks
 * between. Cells are UTF-8; width counts code points. */
#include "base/mem.h"
#include "cli/cli.h"

#include <stdarg.h>

struct table {
	const char *const *headings;
	unsigned n_columns, n_rows, cap;
	char **cells; /* row by row */
};

struct table *
table_create(const char *const *headings)
{
	struct table *t = mem_alloc(sizeof(*t));

	t->headings = headings;
	while (headings[t->n_columns])
		t->n_columns++;
	return t;
}

void
table_destroy(struct table *t)
{
	if (!t)
		return;
	for (unsigned i = 0; i < t->n_rows * t->n_columns; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t);
}

void
table_add(struct table *t, ...)
{
	va_list ap;

	if (t->n_rows == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 16;
		t->cells = mem_realloc(t->cells, sizeof(*t->cells) * t->cap * t->n_columns);
	}
	va_start(ap, t);
	for (unsigned i = 0; i < t->n_columns; i++) {
		const char *cell = va_arg(ap, const char *);

		t->cells[t->n_rows * t->n_columns + i] = mem_strdup(cell && *cell ? cell : "-");
	}
	va_end(ap);
	t->n_rows++;
}

unsigned
table_rows(const struct table *t)
{
	return t->n_rows;
}

static unsigned
width_of(const char *s)
{
	unsigned n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static void
put_cell(struct buf *out, const char *cell, unsigned width, bool is_last)
{
	buf_printf(out, "%s", cell);
	if (!is_last)
		buf_printf(out, "%*s", (int)(width - width_of(cell) + 2), "");
}

void
table_print(const struct table *t, struct buf *out)
{
	AUTO_FREE unsigned *width = mem_array(t->n_columns, sizeof(*width));

	for (unsigned i = 0; i < t->n_columns; i++) {
		width[i] = width_of(t->headings[i]);
		for (unsigned r = 0; r < t->n_rows; r++)
			width[i] = MAX(width[i], width_of(t->cells[r * t->n_columns + i]));
	}
	for (unsigned i = 0; i < t->n_columns; i++)
		put_cell(out, t->headings[i], width[i], i + 1 == t->n_columns);
	buf_printf(out, "\n");
	for (unsigned r = 0; r < t->n_rows; r++) {
		for (unsigned i = 0; i < t->n_columns; i++)
			put_cell(out, t->cells[r * t->n_columns + i], width[i],
				 i + 1 == t->n_columns);
		buf_printf(out, "\n");
	}
}
