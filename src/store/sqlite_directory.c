/* The directory: tenants, groups, credentials, roles of a tenant's own, management groups. What
 * bumps the directory's revision are triggers (migrate.c), so that no write can forget it. */
#include "store/directory.h"
#include "store/sqlite.h"

/* Rows of principals; those of subscriptions have a function in sqlite_identity.c. */
static int
principals(struct store_tx *tx, struct arena *a, sqlite3_stmt *st, struct store_principal **ret,
	   size_t *n, struct err *e)
{
	struct sql_rows rows = { .a = a, .size = sizeof(**ret) };
	int r;

	while ((r = sql_step(tx, st, e)) > 0)
		sql_principal(a, st, sql_rows_add(&rows));
	*ret = (struct store_principal *)rows.p;
	*n = rows.n;
	return r;
}

static int
texts(struct store_tx *tx, struct arena *a, sqlite3_stmt *st, const char ***ret, size_t *n,
      struct err *e)
{
	struct sql_rows rows = { .a = a, .size = sizeof(**ret) };
	int r;

	while ((r = sql_step(tx, st, e)) > 0)
		*(const char **)sql_rows_add(&rows) = sql_text(a, st, 0);
	*ret = (const char **)rows.p;
	*n = rows.n;
	return r;
}

static int
number(struct store_tx *tx, sqlite3_stmt *st, int64_t *ret, struct err *e)
{
	int r = sql_step(tx, st, e);

	if (r > 0) {
		*ret = sqlite3_column_int64(st, 0);
		sql_finish(tx, st);
	}
	return r;
}

int
store_directory_rev(struct store_tx *tx, int64_t *ret, struct err *e)
{
	int r = number(tx, sql_query(tx, e, "SELECT rev FROM directory_rev WHERE one=1", ""), ret,
		       e);

	return MIN(r, 0);
}

bool
store_is_writing(struct store_tx *tx)
{
	return sqlite3_txn_state(tx->db, "main") == SQLITE_TXN_WRITE;
}

/* --- tenants ----------------------------------------------------------------------------------- */

#define TENANT_COLS "id, name, domain, partner, scim_hash, is_partner, is_disabled, created_us"

int
store_tenant_put(struct store_tx *tx, const struct store_tenant *t, struct err *e)
{
	return sql_run(tx,
		       sql_query(tx, e,
				 "INSERT INTO tenant(" TENANT_COLS ") VALUES(?,?,?,?,?,?,?,?)"
				 " ON CONFLICT(id) DO UPDATE SET name=excluded.name,"
				 " domain=excluded.domain, partner=excluded.partner,"
				 " scim_hash=excluded.scim_hash, is_partner=excluded.is_partner,"
				 " is_disabled=excluded.is_disabled",
				 "tttttiii", t->id, t->name, sql_or_empty(t->domain),
				 sql_or_empty(t->partner), sql_or_empty(t->scim_hash),
				 (int64_t)t->is_partner, (int64_t)t->is_disabled, t->created_us),
		       e);
}

static int
tenant_one(struct store_tx *tx, struct arena *a, sqlite3_stmt *st, struct store_tenant *ret,
	   struct err *e)
{
	int r = sql_step(tx, st, e);

	if (r <= 0)
		return r;
	*ret = (struct store_tenant){
		.id = sql_text(a, st, 0),
		.name = sql_text(a, st, 1),
		.domain = sql_text(a, st, 2),
		.partner = sql_text(a, st, 3),
		.scim_hash = sql_text(a, st, 4),
		.is_partner = sqlite3_column_int(st, 5) != 0,
		.is_disabled = sqlite3_column_int(st, 6) != 0,
		.created_us = sqlite3_column_int64(st, 7),
	};
	sql_finish(tx, st);
	return 1;
}

int
store_tenant_get(struct store_tx *tx, struct arena *a, const char *id, struct store_tenant *ret,
		 struct err *e)
{
	return tenant_one(
		tx, a, sql_query(tx, e, "SELECT " TENANT_COLS " FROM tenant WHERE id=?", "t", id),
		ret, e);
}

int
store_tenant_by_domain(struct store_tx *tx, struct arena *a, const char *domain,
		       struct store_tenant *ret, struct err *e)
{
	return tenant_one(
		tx, a,
		sql_query(tx, e, "SELECT " TENANT_COLS " FROM tenant WHERE domain=? AND domain<>''",
			  "t", domain),
		ret, e);
}

int
store_tenant_by_scim(struct store_tx *tx, struct arena *a, const char *scim_hash,
		     struct store_tenant *ret, struct err *e)
{
	return tenant_one(tx, a,
			  sql_query(tx, e,
				    "SELECT " TENANT_COLS
				    " FROM tenant WHERE scim_hash=? AND scim_hash<>''",
				    "t", scim_hash),
			  ret, e);
}

/* --- principals -------------------------------------------------------------------------------- */

int
store_principal_by_upn(struct store_tx *tx, struct arena *a, const char *tenant, const char *upn,
		       struct store_principal *ret, struct err *e)
{
	struct store_principal *all;
	size_t n = 0;
	int r = principals(tx, a,
			   sql_query(tx, e,
				     "SELECT " PRINCIPAL_COLS
				     " FROM principal INDEXED BY principal_upn"
				     " WHERE tenant=? AND upn=? AND upn<>''",
				     "tt", tenant, upn),
			   &all, &n, e);

	if (r == 0 && n)
		*ret = all[0];
	return r < 0 ? r : n > 0;
}

int
store_principal_by_external(struct store_tx *tx, struct arena *a, const char *tenant,
			    const char *kind, const char *external_id, size_t limit,
			    struct store_principal **ret, size_t *n, struct err *e)
{
	return principals(tx, a,
			  sql_query(tx, e,
				    "SELECT " PRINCIPAL_COLS
				    " FROM principal INDEXED BY principal_external WHERE tenant=?"
				    " AND kind=? AND external_id=? AND external_id<>'' LIMIT ?",
				    "ttti", tenant, kind, external_id, (int64_t)limit),
			  ret, n, e);
}

int
store_principal_by_name(struct store_tx *tx, struct arena *a, const char *tenant, const char *kind,
			const char *name, size_t limit, struct store_principal **ret, size_t *n,
			struct err *e)
{
	return principals(tx, a,
			  sql_query(tx, e,
				    "SELECT " PRINCIPAL_COLS
				    " FROM principal INDEXED BY principal_name WHERE tenant=?"
				    " AND kind=? AND name=? COLLATE NOCASE ORDER BY oid LIMIT ?",
				    "ttti", tenant, kind, name, (int64_t)limit),
			  ret, n, e);
}

int
store_principal_by_prefix(struct store_tx *tx, struct arena *a, const char *tenant,
			  const char *kind, const char *prefix, size_t limit,
			  struct store_principal **ret, size_t *n, struct err *e)
{
	return principals(tx, a,
			  sql_query(tx, e,
				    "SELECT " PRINCIPAL_COLS
				    " FROM principal INDEXED BY principal_name WHERE tenant=?1"
				    " AND kind=?2 AND name>=?3 COLLATE NOCASE"
				    " AND name<?3||char(1114111) COLLATE NOCASE"
				    " ORDER BY name COLLATE NOCASE LIMIT ?4",
				    "ttti", tenant, kind, prefix, (int64_t)limit),
			  ret, n, e);
}

int
store_principal_page(struct store_tx *tx, struct arena *a, const char *tenant, const char *kind,
		     const char *after, size_t skip, size_t limit, struct store_principal **ret,
		     size_t *n, struct err *e)
{
	return principals(tx, a,
			  sql_query(tx, e,
				    "SELECT " PRINCIPAL_COLS
				    " FROM principal INDEXED BY principal_kind WHERE tenant=?"
				    " AND kind=? AND oid>? ORDER BY oid LIMIT ? OFFSET ?",
				    "tttii", tenant, kind, sql_or_empty(after), (int64_t)limit,
				    (int64_t)skip),
			  ret, n, e);
}

int
store_principal_count(struct store_tx *tx, const char *tenant, const char *kind, int64_t *ret,
		      struct err *e)
{
	int r = number(tx,
		       sql_query(tx, e,
				 "SELECT count(*) FROM principal INDEXED BY principal_kind"
				 " WHERE tenant=? AND kind=?",
				 "tt", tenant, kind),
		       ret, e);

	return MIN(r, 0);
}

int
store_principal_delete(struct store_tx *tx, const char *oid, struct err *e)
{
	int r = sql_run(tx, sql_query(tx, e, "DELETE FROM credential WHERE oid=?", "t", oid), e);

	if (r == 0)
		r = sql_run(tx, sql_query(tx, e, "DELETE FROM member WHERE grp=?", "t", oid), e);
	if (r == 0)
		r = sql_run(tx, sql_query(tx, e, "DELETE FROM member WHERE member=?", "t", oid), e);
	if (r == 0)
		r = sql_run(tx,
			    sql_query(tx, e, "DELETE FROM assignment WHERE principal=?", "t", oid),
			    e);
	if (r == 0)
		r = sql_run(tx, sql_query(tx, e, "DELETE FROM principal WHERE oid=?", "t", oid), e);
	return r;
}

/* --- groups ------------------------------------------------------------------------------------ */

int
store_member_add(struct store_tx *tx, const char *group, const char *member, struct err *e)
{
	return sql_run(tx,
		       sql_query(tx, e, "INSERT OR IGNORE INTO member(grp, member) VALUES(?,?)",
				 "tt", group, member),
		       e);
}

int
store_member_drop(struct store_tx *tx, const char *group, const char *member, struct err *e)
{
	return sql_run(tx,
		       sql_query(tx, e, "DELETE FROM member WHERE grp=? AND member=?", "tt", group,
				 member),
		       e);
}

int
store_member_list(struct store_tx *tx, struct arena *a, const char *group, const char *after,
		  size_t limit, const char ***ret, size_t *n, struct err *e)
{
	return texts(tx, a,
		     sql_query(tx, e,
			       "SELECT member FROM member WHERE grp=? AND member>?"
			       " ORDER BY member LIMIT ?",
			       "tti", group, sql_or_empty(after), (int64_t)limit),
		     ret, n, e);
}

int
store_group_of(struct store_tx *tx, struct arena *a, const char *member, bool nested,
	       const char ***ret, size_t *n, struct err *e)
{
	/* UNION, not UNION ALL: groups may contain each other. */
	sqlite3_stmt *st = nested ? sql_query(tx, e,
					      "WITH RECURSIVE up(id) AS (SELECT grp FROM member"
					      " INDEXED BY member_of WHERE member=?1 UNION"
					      " SELECT m.grp FROM up CROSS JOIN member m INDEXED BY"
					      " member_of WHERE m.member=up.id)"
					      " SELECT id FROM up LIMIT 1000",
					      "t", member)
				  : sql_query(tx, e,
					      "SELECT grp FROM member INDEXED BY member_of"
					      " WHERE member=? LIMIT 1000",
					      "t", member);

	return texts(tx, a, st, ret, n, e);
}

/* --- credentials ------------------------------------------------------------------------------- */

#define CREDENTIAL_COLS \
	"oid, id, kind, name, hash, salt, hint, sha1, sha256, pem, issuer, subject, audience," \
	" start_us, end_us"

int
store_credential_put(struct store_tx *tx, const struct store_credential *c, struct err *e)
{
	return sql_run(
		tx,
		sql_query(tx, e,
			  "INSERT OR REPLACE INTO credential(" CREDENTIAL_COLS
			  ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
			  "ttittttttttttii", c->oid, c->id, (int64_t)c->kind, sql_or_empty(c->name),
			  sql_or_empty(c->hash), sql_or_empty(c->salt), sql_or_empty(c->hint),
			  sql_or_empty(c->sha1), sql_or_empty(c->sha256), sql_or_empty(c->pem),
			  sql_or_empty(c->issuer), sql_or_empty(c->subject),
			  sql_or_empty(c->audience), c->start_us, c->end_us),
		e);
}

int
store_credential_delete(struct store_tx *tx, const char *oid, const char *id, struct err *e)
{
	return sql_run(
		tx, sql_query(tx, e, "DELETE FROM credential WHERE oid=? AND id=?", "tt", oid, id),
		e);
}

int
store_credential_of(struct store_tx *tx, struct arena *a, const char *oid,
		    enum store_credential_kind kind, struct store_credential **ret, size_t *n,
		    struct err *e)
{
	struct sql_rows rows = { .a = a, .size = sizeof(**ret) };
	sqlite3_stmt *st = sql_query(tx, e,
				     "SELECT " CREDENTIAL_COLS
				     " FROM credential WHERE oid=? AND kind=?",
				     "ti", oid, (int64_t)kind);
	int r;

	while ((r = sql_step(tx, st, e)) > 0)
		*(struct store_credential *)sql_rows_add(&rows) = (struct store_credential){
			.oid = sql_text(a, st, 0),
			.id = sql_text(a, st, 1),
			.kind = kind,
			.name = sql_text(a, st, 3),
			.hash = sql_text(a, st, 4),
			.salt = sql_text(a, st, 5),
			.hint = sql_text(a, st, 6),
			.sha1 = sql_text(a, st, 7),
			.sha256 = sql_text(a, st, 8),
			.pem = sql_text(a, st, 9),
			.issuer = sql_text(a, st, 10),
			.subject = sql_text(a, st, 11),
			.audience = sql_text(a, st, 12),
			.start_us = sqlite3_column_int64(st, 13),
			.end_us = sqlite3_column_int64(st, 14),
		};
	*ret = (struct store_credential *)rows.p;
	*n = rows.n;
	return r;
}

/* --- roles ------------------------------------------------------------------------------------- */

#define ROLE_COLS "id, tenant, name, body"

int
store_role_put(struct store_tx *tx, const struct store_role *r, struct err *e)
{
	return sql_run(tx,
		       sql_query(tx, e,
				 "INSERT INTO role(" ROLE_COLS
				 ") VALUES(?,?,?,?) ON CONFLICT(id) DO"
				 " UPDATE SET name=excluded.name, body=excluded.body",
				 "tttt", r->id, r->tenant, r->name, r->body),
		       e);
}

static int
roles(struct store_tx *tx, struct arena *a, sqlite3_stmt *st, struct store_role **ret, size_t *n,
      struct err *e)
{
	struct sql_rows rows = { .a = a, .size = sizeof(**ret) };
	int r;

	while ((r = sql_step(tx, st, e)) > 0)
		*(struct store_role *)sql_rows_add(&rows) = (struct store_role){
			.id = sql_text(a, st, 0),
			.tenant = sql_text(a, st, 1),
			.name = sql_text(a, st, 2),
			.body = sql_text(a, st, 3),
		};
	*ret = (struct store_role *)rows.p;
	*n = rows.n;
	return r;
}

int
store_role_get(struct store_tx *tx, struct arena *a, const char *id, struct store_role *ret,
	       struct err *e)
{
	struct store_role *one;
	size_t n = 0;
	int r = roles(tx, a, sql_query(tx, e, "SELECT " ROLE_COLS " FROM role WHERE id=?", "t", id),
		      &one, &n, e);

	if (r == 0 && n)
		*ret = one[0];
	return r < 0 ? r : n > 0;
}

int
store_role_delete(struct store_tx *tx, const char *id, struct err *e)
{
	return sql_run(tx, sql_query(tx, e, "DELETE FROM role WHERE id=?", "t", id), e);
}

int
store_role_list(struct store_tx *tx, struct arena *a, const char *tenant, const char *after,
		size_t limit, struct store_role **ret, size_t *n, struct err *e)
{
	return roles(tx, a,
		     sql_query(tx, e,
			       "SELECT " ROLE_COLS " FROM role INDEXED BY role_tenant"
			       " WHERE tenant=? AND id>? ORDER BY id LIMIT ?",
			       "tti", tenant, sql_or_empty(after), (int64_t)limit),
		     ret, n, e);
}

int
store_role_count(struct store_tx *tx, const char *tenant, int64_t *ret, struct err *e)
{
	int r = number(tx,
		       sql_query(tx, e,
				 "SELECT count(*) FROM role INDEXED BY role_tenant WHERE tenant=?",
				 "t", tenant),
		       ret, e);

	return MIN(r, 0);
}

int
store_role_is_assigned(struct store_tx *tx, const char *id, struct err *e)
{
	int64_t one;

	return number(tx,
		      sql_query(tx, e,
				"SELECT 1 FROM assignment INDEXED BY assignment_role WHERE role=?"
				" LIMIT 1",
				"t", id),
		      &one, e);
}

/* --- management groups ----------------------------------------------------------------------- */

#define MGROUP_COLS "name, id, tenant, shown, parent, changed_us"

int
store_mgroup_put(struct store_tx *tx, const struct store_mgroup *g, struct err *e)
{
	return sql_run(tx,
		       sql_query(tx, e,
				 "INSERT INTO mgroup(" MGROUP_COLS ") VALUES(?,?,?,?,?,?)"
				 " ON CONFLICT(name) DO UPDATE SET shown=excluded.shown,"
				 " parent=excluded.parent, changed_us=excluded.changed_us",
				 "ttttti", g->name, g->id, g->tenant, g->shown, g->parent,
				 g->changed_us),
		       e);
}

static int
mgroups(struct store_tx *tx, struct arena *a, sqlite3_stmt *st, struct store_mgroup **ret,
	size_t *n, struct err *e)
{
	struct sql_rows rows = { .a = a, .size = sizeof(**ret) };
	int r;

	while ((r = sql_step(tx, st, e)) > 0)
		*(struct store_mgroup *)sql_rows_add(&rows) = (struct store_mgroup){
			.name = sql_text(a, st, 0),
			.id = sql_text(a, st, 1),
			.tenant = sql_text(a, st, 2),
			.shown = sql_text(a, st, 3),
			.parent = sql_text(a, st, 4),
			.changed_us = sqlite3_column_int64(st, 5),
		};
	*ret = (struct store_mgroup *)rows.p;
	*n = rows.n;
	return r;
}

int
store_mgroup_get(struct store_tx *tx, struct arena *a, const char *name, struct store_mgroup *ret,
		 struct err *e)
{
	struct store_mgroup *one;
	size_t n = 0;
	int r = mgroups(tx, a,
			sql_query(tx, e, "SELECT " MGROUP_COLS " FROM mgroup WHERE name=?", "t",
				  name),
			&one, &n, e);

	if (r == 0 && n)
		*ret = one[0];
	return r < 0 ? r : n > 0;
}

int
store_mgroup_delete(struct store_tx *tx, const char *name, struct err *e)
{
	return sql_run(tx, sql_query(tx, e, "DELETE FROM mgroup WHERE name=?", "t", name), e);
}

int
store_mgroup_list(struct store_tx *tx, struct arena *a, const char *tenant, const char *after,
		  size_t limit, struct store_mgroup **ret, size_t *n, struct err *e)
{
	return mgroups(tx, a,
		       sql_query(tx, e,
				 "SELECT " MGROUP_COLS " FROM mgroup INDEXED BY mgroup_tenant"
				 " WHERE tenant=? AND name>? ORDER BY name LIMIT ?",
				 "tti", tenant, sql_or_empty(after), (int64_t)limit),
		       ret, n, e);
}

int
store_mgroup_children(struct store_tx *tx, struct arena *a, const char *name, size_t limit,
		      struct store_mgroup **ret, size_t *n, struct err *e)
{
	return mgroups(tx, a,
		       sql_query(tx, e,
				 "SELECT " MGROUP_COLS " FROM mgroup INDEXED BY mgroup_parent"
				 " WHERE parent=? ORDER BY name LIMIT ?",
				 "ti", name, (int64_t)limit),
		       ret, n, e);
}

int
store_mgroup_subscriptions(struct store_tx *tx, struct arena *a, const char *name, size_t limit,
			   struct store_subscription **ret, size_t *n, struct err *e)
{
	struct sql_rows rows = { .a = a, .size = sizeof(**ret) };
	int r = sql_subscriptions(tx, &rows,
				  sql_query(tx, e,
					    "SELECT " SUBSCRIPTION_COLS
					    " FROM subscription INDEXED BY subscription_mgroup"
					    " WHERE mgroup=? ORDER BY id LIMIT ?",
					    "ti", name, (int64_t)limit),
				  e);

	*ret = (struct store_subscription *)rows.p;
	*n = rows.n;
	return r;
}

int
store_subscription_place(struct store_tx *tx, const char *sub, const char *group, struct err *e)
{
	return sql_run(tx,
		       sql_query(tx, e, "UPDATE subscription SET mgroup=? WHERE id=?", "tt", group,
				 sub),
		       e);
}

int
store_mgroup_chain(struct store_tx *tx, struct arena *a, const char *sub, const char *group,
		   const char ***ret, size_t *n, struct err *e)
{
	/* The depth is bounded where groups are moved; here too, should one be its own ancestor. */
	return texts(tx, a,
		     sql_query(tx, e,
			       "WITH RECURSIVE up(name, depth) AS (SELECT coalesce(?2, (SELECT"
			       " mgroup FROM subscription WHERE id=?1)), 0 UNION ALL SELECT"
			       " g.parent, depth+1 FROM up CROSS JOIN mgroup g"
			       " WHERE g.name=up.name AND g.parent<>'' AND depth<16)"
			       " SELECT name FROM up WHERE name IS NOT NULL",
			       "tt", sub, group),
		     ret, n, e);
}

/* --- records ----------------------------------------------------------------------------------- */

#define RECORD_COLS "space, name, id, body, etag"

int
store_record_put(struct store_tx *tx, const struct store_record *r, struct err *e)
{
	return sql_run(tx,
		       sql_query(tx, e,
				 "INSERT INTO record(" RECORD_COLS ") VALUES(?,?,?,?,?)"
				 " ON CONFLICT(space, name) DO UPDATE SET body=excluded.body,"
				 " etag=excluded.etag",
				 "ttttt", r->space, r->name, r->id, r->body, r->etag),
		       e);
}

static int
records(struct store_tx *tx, struct arena *a, sqlite3_stmt *st, struct store_record **ret,
	size_t *n, struct err *e)
{
	struct sql_rows rows = { .a = a, .size = sizeof(**ret) };
	int r;

	while ((r = sql_step(tx, st, e)) > 0)
		*(struct store_record *)sql_rows_add(&rows) = (struct store_record){
			.space = sql_text(a, st, 0),
			.name = sql_text(a, st, 1),
			.id = sql_text(a, st, 2),
			.body = sql_text(a, st, 3),
			.etag = sql_text(a, st, 4),
		};
	*ret = (struct store_record *)rows.p;
	*n = rows.n;
	return r;
}

int
store_record_get(struct store_tx *tx, struct arena *a, const char *space, const char *name,
		 struct store_record *ret, struct err *e)
{
	struct store_record *one;
	size_t n = 0;
	int r = records(tx, a,
			sql_query(tx, e,
				  "SELECT " RECORD_COLS " FROM record WHERE space=? AND name=?",
				  "tt", space, name),
			&one, &n, e);

	if (r == 0 && n)
		*ret = one[0];
	return r < 0 ? r : n > 0;
}

int
store_record_delete(struct store_tx *tx, const char *space, const char *name, struct err *e)
{
	return sql_run(tx,
		       sql_query(tx, e, "DELETE FROM record WHERE space=? AND name=?", "tt", space,
				 name),
		       e);
}

int
store_record_list(struct store_tx *tx, struct arena *a, const char *space, const char *after,
		  size_t limit, struct store_record **ret, size_t *n, struct err *e)
{
	return records(tx, a,
		       sql_query(tx, e,
				 "SELECT " RECORD_COLS " FROM record WHERE space=? AND name>?"
				 " ORDER BY name LIMIT ?",
				 "tti", space, sql_or_empty(after), (int64_t)limit),
		       ret, n, e);
}
