/* The schema, as steps: step n brings version n to n+1. A step, once released, never changes. Usage
 * lives in a file of its own (attached as "usage") since it is kept for ever. */
#include "store/internal.h"

static const char *const steps[] = {
	"CREATE TABLE fact(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
	"INSERT INTO fact VALUES('epoch', lower(hex(randomblob(8))));"

	"CREATE TABLE resource("
	" fold TEXT PRIMARY KEY, id TEXT NOT NULL, sub TEXT NOT NULL, rg TEXT NOT NULL,"
	" type TEXT NOT NULL, tenant TEXT NOT NULL, etag TEXT NOT NULL, body TEXT NOT NULL,"
	" hidden TEXT NOT NULL, rev INTEGER NOT NULL, state INTEGER NOT NULL,"
	" created_us INTEGER NOT NULL, changed_us INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX resource_sub ON resource(sub, fold);"
	"CREATE INDEX resource_sub_type ON resource(sub, type, fold);"
	"CREATE INDEX resource_rg ON resource(sub, rg, fold);"
	"CREATE INDEX resource_rg_type ON resource(sub, rg, type, fold);"
	"CREATE INDEX resource_type ON resource(type, fold);"

	"CREATE TABLE ref(owner TEXT NOT NULL, from_fold TEXT NOT NULL, to_fold TEXT NOT NULL,"
	" kind TEXT NOT NULL, PRIMARY KEY(owner, from_fold, to_fold, kind)) WITHOUT ROWID;"
	"CREATE INDEX ref_to ON ref(to_fold, kind);"

	"CREATE TABLE claim(space TEXT NOT NULL, value TEXT NOT NULL, owner TEXT NOT NULL,"
	" PRIMARY KEY(space, value)) WITHOUT ROWID;"
	"CREATE INDEX claim_owner ON claim(owner);"
	"CREATE TABLE claim_next(space TEXT PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID;"

	"CREATE TABLE secret(owner TEXT NOT NULL, name TEXT NOT NULL, sealed BLOB NOT NULL,"
	" PRIMARY KEY(owner, name)) WITHOUT ROWID;"

	"CREATE TABLE operation(id TEXT PRIMARY KEY, sub TEXT NOT NULL, target TEXT NOT NULL,"
	" what TEXT NOT NULL, caller TEXT NOT NULL, detail TEXT NOT NULL, result TEXT,"
	" status INTEGER NOT NULL, rev INTEGER NOT NULL, created_us INTEGER NOT NULL,"
	" deadline_us INTEGER NOT NULL, finished_us INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX operation_open ON operation(status, created_us);"

	"CREATE TABLE event(seq INTEGER PRIMARY KEY AUTOINCREMENT, at_us INTEGER NOT NULL,"
	" sub TEXT NOT NULL, rg TEXT NOT NULL, target TEXT NOT NULL, operation TEXT NOT NULL,"
	" status TEXT NOT NULL, caller TEXT NOT NULL, detail TEXT NOT NULL);"
	"CREATE INDEX event_sub ON event(sub, seq);"
	"CREATE INDEX event_rg ON event(sub, rg, seq);"
	"CREATE INDEX event_target ON event(sub, target, seq);"
	"CREATE INDEX event_at ON event(at_us);"

	"CREATE TABLE node(name TEXT PRIMARY KEY, role TEXT NOT NULL, cert TEXT NOT NULL,"
	" token_hash TEXT NOT NULL, token_until_us INTEGER NOT NULL, applied INTEGER NOT NULL,"
	" seen_us INTEGER NOT NULL, report TEXT NOT NULL, revoked INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX node_cert ON node(cert);"
	"CREATE TABLE node_counter(node TEXT PRIMARY KEY, rev INTEGER NOT NULL,"
	" floor INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE node_object(node TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,"
	" owner TEXT NOT NULL, rev INTEGER NOT NULL, sealed BLOB,"
	" PRIMARY KEY(node, kind, key)) WITHOUT ROWID;"
	"CREATE UNIQUE INDEX node_object_rev ON node_object(node, rev);"
	"CREATE INDEX node_object_owner ON node_object(owner) WHERE sealed IS NOT NULL;"
	"CREATE INDEX node_object_gone ON node_object(node, rev) WHERE sealed IS NULL;"

	"CREATE TABLE principal(oid TEXT PRIMARY KEY, client_id TEXT NOT NULL UNIQUE,"
	" tenant TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, secret_hash TEXT NOT NULL,"
	" secret_salt TEXT NOT NULL, is_disabled INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE assignment(fold TEXT PRIMARY KEY, id TEXT NOT NULL, scope TEXT NOT NULL,"
	" role TEXT NOT NULL, principal TEXT NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE UNIQUE INDEX assignment_once ON assignment(principal, scope, role);"
	"CREATE INDEX assignment_scope ON assignment(scope);"
	"CREATE TABLE subscription(id TEXT PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL,"
	" state TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX subscription_tenant ON subscription(tenant, id);"

	"CREATE TABLE usage.reading(node TEXT NOT NULL, boot TEXT NOT NULL, seq INTEGER NOT NULL,"
	" at_us INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY(node, boot, seq)) WITHOUT ROWID;"
	"CREATE INDEX usage.reading_at ON reading(node, at_us);"
	"CREATE TABLE usage.reading_upto(node TEXT NOT NULL, boot TEXT NOT NULL,"
	" upto INTEGER NOT NULL, PRIMARY KEY(node, boot)) WITHOUT ROWID;",

	"ALTER TABLE node ADD COLUMN cert_before TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE node ADD COLUMN token_csr TEXT NOT NULL DEFAULT '';"
	"CREATE INDEX node_cert_before ON node(cert_before);",

	"ALTER TABLE principal ADD COLUMN upn TEXT NOT NULL DEFAULT '' COLLATE NOCASE;"
	"ALTER TABLE principal ADD COLUMN external_id TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE principal ADD COLUMN body TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE principal ADD COLUMN rev INTEGER NOT NULL DEFAULT 1;"
	"ALTER TABLE principal ADD COLUMN created_us INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE principal ADD COLUMN changed_us INTEGER NOT NULL DEFAULT 0;"
	"CREATE UNIQUE INDEX principal_upn ON principal(tenant, upn) WHERE upn<>'';"
	"CREATE INDEX principal_external ON principal(tenant, kind, external_id)"
	" WHERE external_id<>'';"
	"CREATE INDEX principal_name ON principal(tenant, kind, name COLLATE NOCASE, oid);"
	"CREATE INDEX principal_kind ON principal(tenant, kind, oid);"

	"CREATE TABLE credential(oid TEXT NOT NULL, id TEXT NOT NULL, kind INTEGER NOT NULL,"
	" name TEXT NOT NULL, hash TEXT NOT NULL, salt TEXT NOT NULL, hint TEXT NOT NULL,"
	" sha1 TEXT NOT NULL, sha256 TEXT NOT NULL, pem TEXT NOT NULL, issuer TEXT NOT NULL,"
	" subject TEXT NOT NULL, audience TEXT NOT NULL, start_us INTEGER NOT NULL,"
	" end_us INTEGER NOT NULL, PRIMARY KEY(oid, id)) WITHOUT ROWID;"
	"INSERT INTO credential SELECT oid, lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) ||"
	" '-4' || substr(hex(randomblob(2)), 2) || '-8' || substr(hex(randomblob(2)), 2) || '-' ||"
	" hex(randomblob(6))), 0, '', secret_hash, secret_salt, '', '', '', '', '', '', '', 0, 0"
	" FROM principal WHERE secret_hash<>'';"
	"ALTER TABLE principal DROP COLUMN secret_hash;"
	"ALTER TABLE principal DROP COLUMN secret_salt;"

	"CREATE TABLE tenant(id TEXT PRIMARY KEY, name TEXT NOT NULL, domain TEXT NOT NULL,"
	" partner TEXT NOT NULL, scim_hash TEXT NOT NULL, is_partner INTEGER NOT NULL,"
	" is_disabled INTEGER NOT NULL, created_us INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE UNIQUE INDEX tenant_domain ON tenant(domain) WHERE domain<>'';"
	"CREATE UNIQUE INDEX tenant_scim ON tenant(scim_hash) WHERE scim_hash<>'';"
	"INSERT INTO tenant SELECT DISTINCT tenant, 'Wayleave', '', '', '', 0, 0, 0 FROM principal;"

	"CREATE TABLE member(grp TEXT NOT NULL, member TEXT NOT NULL, PRIMARY KEY(grp, member))"
	" WITHOUT ROWID;"
	"CREATE INDEX member_of ON member(member, grp);"

	"CREATE TABLE role(id TEXT PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL,"
	" body TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE UNIQUE INDEX role_name ON role(tenant, name COLLATE NOCASE);"
	"CREATE INDEX role_tenant ON role(tenant, id);"
	"CREATE INDEX assignment_role ON assignment(role);"

	"CREATE TABLE mgroup(name TEXT PRIMARY KEY, id TEXT NOT NULL, tenant TEXT NOT NULL,"
	" shown TEXT NOT NULL, parent TEXT NOT NULL, changed_us INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX mgroup_parent ON mgroup(parent, name);"
	"CREATE INDEX mgroup_tenant ON mgroup(tenant, name);"
	"INSERT INTO mgroup SELECT id, id, id, 'Tenant Root Group', '', 0 FROM tenant;"
	"ALTER TABLE subscription ADD COLUMN mgroup TEXT NOT NULL DEFAULT '';"
	"UPDATE subscription SET mgroup=tenant;"
	"CREATE INDEX subscription_mgroup ON subscription(mgroup, id);"

	"CREATE TABLE record(space TEXT NOT NULL, name TEXT NOT NULL, id TEXT NOT NULL,"
	" body TEXT NOT NULL, etag TEXT NOT NULL, PRIMARY KEY(space, name)) WITHOUT ROWID;"

	/* Whatever may alter who may do what counts here. */
	"CREATE TABLE directory_rev(one INTEGER PRIMARY KEY, rev INTEGER NOT NULL);"
	"INSERT INTO directory_rev VALUES(1, 1);"
	"CREATE TRIGGER principal_insert AFTER INSERT ON principal BEGIN"
	" UPDATE directory_rev SET rev=rev+1 WHERE one=1; END;"
	"CREATE TRIGGER principal_update AFTER UPDATE ON principal BEGIN"
	" UPDATE directory_rev SET rev=rev+1 WHERE one=1; END;"
	"CREATE TRIGGER principal_delete AFTER DELETE ON principal BEGIN"
	" UPDATE directory_rev SET rev=rev+1 WHERE one=1; END;"
	"CREATE TRIGGER assignment_insert AFTER INSERT ON assignment BEGIN"
	" UPDATE directory_rev SET rev=rev+1 WHERE one=1; END;"
	"CREATE TRIGGER assignment_update AFTER UPDATE ON assignment BEGIN"
	" UPDATE directory_rev SET rev=rev+1 WHERE one=1; END;"
	"CREATE TRIGGER assignment_delete AFTER DELETE ON assignment BEGIN"
	" UPDATE directory_rev SET rev=rev+1 WHERE one=1; END;"
	"CREATE TRIGGER subscription_insert AFTER INSERT ON subscription BEGIN"
	" UPDATE directory_rev SET rev=rev+1 WHERE one=1; END;"
	"CREATE TRIGGER subscription_update AFTER UPDATE ON subscription BEGIN"
	" UPDATE directory_rev SET rev=rev+1 WHERE one=1; END;"
	"CREATE TRIGGER subscription_delete AFTER DELETE ON subscription BEGIN"
	" UPDATE directory_rev SET rev=rev+1 WHERE one=1; END;"
	"CREATE TRIGGER tenant_insert AFTER INSERT ON tenant BEGIN"
	" UPDATE directory_rev SET rev=rev+1 WHERE one=1; END;"
	"CREATE TRIGGER tenant_update AFTER UPDATE ON tenant BEGIN"
	" UPDATE directory_rev SET rev=rev+1 WHERE one=1; END;"
	"CREATE TRIGGER tenant_delete AFTER DELETE ON tenant BEGIN"
	" UPDATE directory_rev SET rev=rev+1 WHERE one=1; END;"
	"CREATE TRIGGER member_insert AFTER INSERT ON member BEGIN"
	" UPDATE directory_rev SET rev=rev+1 WHERE one=1; END;"
	"CREATE TRIGGER member_update AFTER UPDATE ON member BEGIN"
	" UPDATE directory_rev SET rev=rev+1 WHERE one=1; END;"
	"CREATE TRIGGER member_delete AFTER DELETE ON member BEGIN"
	" UPDATE directory_rev SET rev=rev+1 WHERE one=1; END;"
	"CREATE TRIGGER role_insert AFTER INSERT ON role BEGIN"
	" UPDATE directory_rev SET rev=rev+1 WHERE one=1; END;"
	"CREATE TRIGGER role_update AFTER UPDATE ON role BEGIN"
	" UPDATE directory_rev SET rev=rev+1 WHERE one=1; END;"
	"CREATE TRIGGER role_delete AFTER DELETE ON role BEGIN"
	" UPDATE directory_rev SET rev=rev+1 WHERE one=1; END;"
	"CREATE TRIGGER mgroup_insert AFTER INSERT ON mgroup BEGIN"
	" UPDATE directory_rev SET rev=rev+1 WHERE one=1; END;"
	"CREATE TRIGGER mgroup_update AFTER UPDATE ON mgroup BEGIN"
	" UPDATE directory_rev SET rev=rev+1 WHERE one=1; END;"
	"CREATE TRIGGER mgroup_delete AFTER DELETE ON mgroup BEGIN"
	" UPDATE directory_rev SET rev=rev+1 WHERE one=1; END;",

	"CREATE TABLE ticket(kind TEXT NOT NULL, hash TEXT NOT NULL, family TEXT NOT NULL,"
	" oid TEXT NOT NULL, body TEXT NOT NULL, made_us INTEGER NOT NULL,"
	" until_us INTEGER NOT NULL, used_us INTEGER NOT NULL, PRIMARY KEY(kind, hash));"
	"CREATE INDEX ticket_until ON ticket(until_us);"
	"CREATE INDEX ticket_family ON ticket(family) WHERE family<>'';"
	"CREATE INDEX ticket_oid ON ticket(oid, kind) WHERE oid<>'';",

	"CREATE TABLE scope_lock(scope TEXT NOT NULL, fold TEXT NOT NULL, name TEXT NOT NULL,"
	" level TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, created_us INTEGER NOT NULL,"
	" PRIMARY KEY(scope, fold)) WITHOUT ROWID;"
	"ALTER TABLE event ADD COLUMN correlation TEXT NOT NULL DEFAULT '';"
	"CREATE INDEX event_correlation ON event(sub, correlation, seq) WHERE correlation<>'';",

	"CREATE TABLE deployment(fold TEXT PRIMARY KEY, id TEXT NOT NULL, sub TEXT NOT NULL,"
	" rg TEXT NOT NULL, body TEXT NOT NULL, is_active INTEGER NOT NULL,"
	" created_us INTEGER NOT NULL, changed_us INTEGER NOT NULL);"
	"CREATE INDEX deployment_scope ON deployment(sub, rg, fold);"
	"CREATE INDEX deployment_age ON deployment(sub, rg, changed_us) WHERE is_active=0;"
	"CREATE INDEX deployment_active ON deployment(fold) WHERE is_active=1;",

	"CREATE TABLE stream_event(seq INTEGER PRIMARY KEY AUTOINCREMENT, at_us INTEGER NOT NULL,"
	" sub TEXT NOT NULL, target TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL);"
	"CREATE INDEX stream_event_sub ON stream_event(sub, seq);"
	"CREATE INDEX stream_event_target ON stream_event(target, seq);"
	"CREATE INDEX stream_event_at ON stream_event(at_us);"

	"CREATE TABLE usage.metric(target TEXT NOT NULL, grain INTEGER NOT NULL,"
	" span INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY(target, grain, span))"
	" WITHOUT ROWID;"
	"CREATE INDEX usage.metric_span ON metric(grain, span);",

	"CREATE INDEX deployment_busy ON deployment(sub) WHERE is_active=1;",

	/* Roles go with what they were given at: whoever makes it anew does not let old ones in. */
	"CREATE TRIGGER resource_roles AFTER DELETE ON resource BEGIN"
	" DELETE FROM assignment WHERE scope=OLD.fold;"
	" DELETE FROM assignment WHERE scope>OLD.fold || '/' AND scope<OLD.fold || '0'; END;",
};

static int
exec(sqlite3 *db, const char *sql, struct err *e)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	return err_set(e, -EIO, "%s", sqlite3_errmsg(db));
}

static int
version_get(sqlite3 *db, struct err *e)
{
	sqlite3_stmt *st = NULL;
	int v;

	if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &st, NULL) != SQLITE_OK ||
	    sqlite3_step(st) != SQLITE_ROW) {
		sqlite3_finalize(st);
		return err_set(e, -EIO, "%s", sqlite3_errmsg(db));
	}
	v = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return v;
}

static int
step_run(sqlite3 *db, int v, struct err *e)
{
	char set[64];
	int r = exec(db, steps[v], e);

	snprintf(set, sizeof(set), "PRAGMA user_version=%d", v + 1);
	return r < 0 ? r : exec(db, set, e);
}

int
migrate(sqlite3 *db, struct err *e)
{
	int v = version_get(db, e), r = 0;

	if (v < 0)
		return v;
	if (v > (int)COUNT(steps))
		return err_set(e, -EPROTO,
			       "written by a newer version (schema %d, this program knows %d)", v,
			       (int)COUNT(steps));
	if (v == (int)COUNT(steps))
		return 0;
	r = exec(db, "BEGIN IMMEDIATE", e);
	v = r < 0 ? r : version_get(db, e); /* another process may have been faster */
	for (r = MIN(v, 0); r == 0 && v < (int)COUNT(steps); v++)
		r = step_run(db, v, e);
	if (r == 0)
		r = exec(db, "COMMIT", e);
	if (r < 0)
		exec(db, "ROLLBACK", NULL);
	return r;
}
