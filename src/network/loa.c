/* Writes the letter (loa.h) as PDF 1.4 (ISO 32000-1): catalog, page tree, one A4 page, two of the
 * standard fonts and one uncompressed content stream; then the cross-reference table with the byte
 * offset of each object. Texts are in WinAnsiEncoding, which agrees with Latin-1 where we use it. */
#include "network/loa.h"

enum { N_OBJECTS = 6, LEFT = 56, TOP = 780, LEADING = 18 };

struct page {
	struct buf text; /* the content stream */
	int y;
};

/* One character of UTF-8 as Latin-1; '?' for what is not there. Moves *s behind it. */
static unsigned char
latin1(const char **s)
{
	const unsigned char *p = (const unsigned char *)*s;

	if (*p < 0x80) {
		(*s)++;
		return *p < 0x20 || *p == 0x7f ? '?' : *p;
	}
	if ((*p == 0xc2 || *p == 0xc3) && p[1] >= (*p == 0xc2 ? 0xa0 : 0x80) && p[1] < 0xc0) {
		*s += 2;
		return (unsigned char)((*p & 3) << 6 | (p[1] & 0x3f));
	}
	for ((*s)++; (*(const unsigned char *)*s & 0xc0) == 0x80;)
		(*s)++;
	return '?';
}

/* A PDF string: parentheses and backslashes are special, the upper half is written in octal. */
static void
put_string(struct buf *b, const char *s)
{
	buf_u8(b, '(');
	while (*s) {
		unsigned char c = latin1(&s);

		if (c >= 0x80)
			buf_printf(b, "\\%03o", c);
		else if (c == '(' || c == ')' || c == '\\')
			buf_printf(b, "\\%c", c);
		else
			buf_u8(b, c);
	}
	buf_u8(b, ')');
}

static void
put_line(struct page *p, int font, int size, int x, const char *text)
{
	buf_printf(&p->text, "BT /F%d %d Tf %d %d Td ", font, size, LEFT + x, p->y);
	put_string(&p->text, text);
	buf_printf(&p->text, " Tj ET\n");
}

static void
put_row(struct page *p, const char *name, const char *value)
{
	put_line(p, 2, 10, 0, name);
	put_line(p, 1, 10, 130, *value ? value : "to be named by the operator");
	p->y -= LEADING;
}

static void
put_heading(struct page *p, const char *text, int size)
{
	p->y -= LEADING / 2;
	put_line(p, 2, size, 0, text);
	p->y -= LEADING + size / 2;
}

static void
put_letter(struct page *p, const struct loa *l)
{
	static const char *const path[] = { "Link 1 (primary)", "Link 2 (secondary)" };
	char gbps[32];

	snprintf(gbps, sizeof(gbps), "%u Gbps each, single-mode fibre", l->gbps);
	put_heading(p, "Letter of Authorization", 18);
	put_row(p, "Date", l->date);
	put_row(p, "Customer", l->customer);
	put_row(p, "Port pair", l->port);
	put_row(p, "Reference", l->guid);
	put_row(p, "Peering location", l->location);
	put_row(p, "Facility", l->facility);
	put_row(p, "Bandwidth", gbps);
	p->y -= LEADING;
	put_line(p, 1, 10, 0,
		 "The customer named above, or whoever acts for it, is authorized to have cross "
		 "connects laid");
	p->y -= LEADING;
	put_line(p, 1, 10, 0,
		 "to the ports named below, and to these only, at the customer's cost.");
	p->y -= LEADING;
	for (unsigned i = 0; i < 2; i++) {
		put_heading(p, path[i], 12);
		put_row(p, "Router", l->links[i].router);
		put_row(p, "Port", l->links[i].port);
		put_row(p, "Rack", l->links[i].rack);
		put_row(p, "Patch panel", l->links[i].patch_panel);
		put_row(p, "Connector", l->links[i].connector);
	}
}

static void
put_object(struct buf *out, size_t at[N_OBJECTS + 1], unsigned n, const char *body)
{
	at[n] = out->n;
	buf_printf(out, "%u 0 obj\n%s\nendobj\n", n, body);
}

void
loa_write(const struct loa *l, struct buf *out)
{
	struct page p = { .y = TOP };
	size_t at[N_OBJECTS + 1], xref;

	put_letter(&p, l);
	buf_reset(out);
	buf_printf(out, "%%PDF-1.4\n%%\xe2\xe3\xcf\xd3\n"); /* bytes that say it is not text */
	put_object(out, at, 1, "<< /Type /Catalog /Pages 2 0 R >>");
	put_object(out, at, 2, "<< /Type /Pages /Kids [3 0 R] /Count 1 >>");
	put_object(out, at, 3,
		   "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 6 0 R\n"
		   "/Resources << /Font << /F1 4 0 R /F2 5 0 R >> >> >>");
	put_object(out, at, 4,
		   "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding "
		   "/WinAnsiEncoding >>");
	put_object(out, at, 5,
		   "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding "
		   "/WinAnsiEncoding >>");
	at[6] = out->n;
	buf_printf(out, "6 0 obj\n<< /Length %zu >>\nstream\n", p.text.n);
	buf_put(out, p.text.p, p.text.n);
	buf_printf(out, "endstream\nendobj\n");
	xref = out->n;
	buf_printf(out, "xref\n0 %d\n0000000000 65535 f \n", N_OBJECTS + 1);
	for (unsigned i = 1; i <= N_OBJECTS; i++)
		buf_printf(out, "%010zu 00000 n \n", at[i]);
	buf_printf(out, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%zu\n%%%%EOF\n",
		   N_OBJECTS + 1, xref);
	buf_fini(&p.text);
}
