#include "fabric/journal.h"

#include "base/buf.h"
#include "base/mem.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <time.h>

enum {
	FILE_BYTES = 4 << 20, /* then a new file */
	KEEP_SECONDS = 35 * 86400,
	HASH = 32,
	SIGNATURE = 64,
};

static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";

struct journal {
	char *dir;
	char boot[17];
	EVP_PKEY *key;
	char public_key[2 * HASH + 1];
	int fd; /* of the current file; -1: none yet */
	off_t size;
	uint64_t sequence, acknowledged;
	char previous[2 * HASH + 1];
	/* where reading goes on: the byte after the last acknowledged line of a file */
	uint64_t read_file;
	off_t read_at;
};

static void
to_hex(const uint8_t *p, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", p[i]);
}

static bool
from_hex(const char *s, uint8_t *out, size_t n)
{
	if (!s || strlen(s) != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		char two[3] = { s[2 * i], s[2 * i + 1], '\0' }, *end;

		out[i] = (uint8_t)strtoul(two, &end, 16);
		if (*end || two[0] == '-' || two[0] == '+' || two[0] == ' ')
			return false;
	}
	return true;
}

/* ---- The chain ---- */

/* SHA-256 of the entry's canonical JSON without hash and signature. */
static int
entry_hash(const json_t *entry, uint8_t out[HASH])
{
	json_t *bare = json_copy((json_t *)entry);
	char *text;
	int ok;

	json_object_del(bare, "hash");
	json_object_del(bare, "signature");
	text = json_dumps(bare, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(bare);
	if (!text)
		return -EINVAL;
	ok = EVP_Digest(text, strlen(text), out, NULL, EVP_sha256(), NULL);
	free(text);
	return ok == 1 ? 0 : -EIO;
}

static int
entry_sign(struct journal *j, json_t *entry, struct err *e)
{
	uint8_t hash[HASH], sig[SIGNATURE];
	char hex[2 * SIGNATURE + 1];
	size_t n = sizeof(sig);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = entry_hash(entry, hash) == 0 &&
		 EVP_DigestSignInit(ctx, NULL, NULL, NULL, j->key) == 1 &&
		 EVP_DigestSign(ctx, sig, &n, hash, sizeof(hash)) == 1;

	EVP_MD_CTX_free(ctx);
	if (!ok)
		return err_set(e, -EIO, "cannot sign a journal entry");
	to_hex(sig, n, hex);
	json_object_set_new(entry, "signature", json_string(hex));
	to_hex(hash, HASH, hex);
	json_object_set_new(entry, "hash", json_string(hex));
	memcpy(j->previous, hex, sizeof(j->previous));
	return 0;
}

int
journal_verify(const struct json_t *entry, char previous[65], const char *public_key, struct err *e)
{
	const char *prev = json_string_value(json_object_get(entry, "previous"));
	const char *hash_text = json_string_value(json_object_get(entry, "hash"));
	uint8_t hash[HASH], said[HASH], sig[SIGNATURE], key[HASH];
	EVP_MD_CTX *ctx;
	EVP_PKEY *pkey;
	int ok;

	if (!prev || strcmp(prev, previous))
		return err_set(e, -EBADMSG, "the entry does not follow the one before");
	if (!from_hex(hash_text, said, HASH) || entry_hash(entry, hash) < 0 ||
	    memcmp(hash, said, HASH))
		return err_set(e, -EBADMSG, "the entry's hash is wrong");
	if (public_key) {
		if (!from_hex(public_key, key, HASH) ||
		    !from_hex(json_string_value(json_object_get(entry, "signature")), sig,
			      SIGNATURE))
			return err_set(e, -EBADMSG, "the entry has no signature");
		ctx = EVP_MD_CTX_new();
		pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, HASH);
		ok = pkey && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
		     EVP_DigestVerify(ctx, sig, SIGNATURE, hash, HASH) == 1;
		EVP_MD_CTX_free(ctx);
		EVP_PKEY_free(pkey);
		if (!ok)
			return err_set(e, -EBADMSG, "the entry's signature is wrong");
	}
	memcpy(previous, hash_text, 2 * HASH + 1);
	return 0;
}

/* ---- The meter key ---- */

static int
key_make(const char *path, EVP_PKEY **ret, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
	EVP_PKEY *key;
	bool ok;

	if (!f)
		return err_errno(e, "%s", path);
	key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	ok = key && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1 &&
	     fflush(f) == 0 && fsync(fd) == 0;
	fclose(f);
	if (!ok) {
		EVP_PKEY_free(key);
		unlink(path);
		return err_set(e, -EIO, "%s: cannot make the meter key", path);
	}
	*ret = key;
	return 0;
}

static int
key_open(struct journal *j, struct err *e)
{
	AUTO_FREE char *path = mem_printf("%s/meter.key", j->dir);
	FILE *f = fopen(path, "re");
	uint8_t raw[HASH];
	size_t n = sizeof(raw);
	int r;

	if (!f) {
		r = errno == ENOENT ? key_make(path, &j->key, e) : err_errno(e, "%s", path);
		if (r < 0)
			return r;
	} else {
		j->key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
		fclose(f);
	}
	if (!j->key || EVP_PKEY_get_raw_public_key(j->key, raw, &n) != 1 || n != HASH)
		return err_set(e, -EBADMSG, "%s: not an Ed25519 key", path);
	to_hex(raw, HASH, j->public_key);
	return 0;
}

/* ---- Files ---- */

struct files {
	uint64_t *first;
	size_t n;
};

static int
compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static struct files
list_files(const struct journal *j)
{
	struct files fs = { 0 };
	DIR *d = opendir(j->dir);
	struct dirent *ent;

	while (d && (ent = readdir(d)) != NULL) {
		char *end;
		uint64_t first = strtoull(ent->d_name, &end, 10);

		if (end == ent->d_name || strcmp(end, ".jsonl"))
			continue;
		fs.first = mem_realloc(fs.first, (fs.n + 1) * sizeof(fs.first[0]));
		fs.first[fs.n++] = first;
	}
	if (d)
		closedir(d);
	if (fs.n)
		qsort(fs.first, fs.n, sizeof(fs.first[0]), compare_u64);
	return fs;
}

static char *
file_path(const struct journal *j, uint64_t first)
{
	return mem_printf("%s/%020" PRIu64 ".jsonl", j->dir, first);
}

/* Finds the last whole entry; what follows it was torn and is cut off. */
static int
continue_file(struct journal *j, uint64_t first, struct err *e)
{
	AUTO_FREE char *path = file_path(j, first);
	FILE *f = fopen(path, "r+e");
	AUTO_FREE char *line = NULL;
	size_t cap = 0;
	off_t good = 0;
	ssize_t n;

	if (!f)
		return err_errno(e, "%s", path);
	while ((n = getline(&line, &cap, f)) > 0 && line[n - 1] == '\n') {
		json_t *v = json_loadb(line, (size_t)n, 0, NULL);
		const char *hash = json_string_value(json_object_get(v, "hash"));

		if (!hash || strlen(hash) != 2 * HASH) {
			json_decref(v);
			break;
		}
		memcpy(j->previous, hash, 2 * HASH + 1);
		j->sequence = (uint64_t)json_integer_value(json_object_get(v, "sequence"));
		json_decref(v);
		good += n;
	}
	fclose(f);
	if (truncate(path, good) < 0)
		return err_errno(e, "%s", path);
	j->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (j->fd < 0)
		return err_errno(e, "%s", path);
	j->size = good;
	return 0;
}

static int
new_file(struct journal *j, struct err *e)
{
	AUTO_FREE char *path = file_path(j, j->sequence + 1);
	AUTO_CLOSE d = -1;

	if (j->fd >= 0)
		close(j->fd);
	j->size = 0;
	/* one of that name is what a failed write left: it has no whole entry */
	j->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (j->fd < 0)
		return err_errno(e, "%s", path);
	d = open(j->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d >= 0)
		fsync(d);
	return 0;
}

static uint64_t
read_acknowledged(const struct journal *j)
{
	AUTO_FREE char *path = mem_printf("%s/acknowledged", j->dir);
	FILE *f = fopen(path, "re");
	uint64_t n = 0;

	if (f) {
		if (fscanf(f, "%" SCNu64, &n) != 1)
			n = 0;
		fclose(f);
	}
	return n;
}

int
journal_open(const char *dir, const char *boot, struct journal **ret, struct err *e)
{
	struct journal *j = mem_alloc(sizeof(*j));
	struct files fs;
	int r = 0;

	j->dir = mem_strdup(dir);
	j->fd = -1;
	snprintf(j->boot, sizeof(j->boot), "%s", boot);
	memcpy(j->previous, zeros, sizeof(j->previous));
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		r = err_errno(e, "%s", dir);
	if (r == 0)
		r = key_open(j, e);
	fs = list_files(j);
	/* a last file without one whole entry: the chain is in the one before */
	for (size_t i = fs.n; r == 0 && i-- > 0 && !j->sequence;) {
		if (j->fd >= 0)
			close(j->fd);
		j->fd = -1;
		r = continue_file(j, fs.first[i], e);
	}
	free(fs.first);
	j->acknowledged = read_acknowledged(j);
	if (r < 0) {
		journal_close(j);
		return err_wrap(e, r, "journal");
	}
	*ret = j;
	return 0;
}

void
journal_close(struct journal *j)
{
	if (!j)
		return;
	if (j->fd >= 0)
		close(j->fd);
	EVP_PKEY_free(j->key);
	free(j->dir);
	free(j);
}

/* ---- Writing ---- */

static json_t *
reading_json(const struct journal_reading *r)
{
	return json_pack("{sssssIsIsIsIsIsIsI}", "circuit", r->circuit, "domain", r->domain,
			 "number", (json_int_t)r->number, "slot", (json_int_t)r->slot, "epoch",
			 (json_int_t)r->epoch, "bytesIn", (json_int_t)r->bytes_in, "packetsIn",
			 (json_int_t)r->packets_in, "bytesOut", (json_int_t)r->bytes_out,
			 "packetsOut", (json_int_t)r->packets_out);
}

static int
write_line(struct journal *j, const char *line, size_t n, struct err *e)
{
	ssize_t w;

	if (j->fd < 0 || j->size > FILE_BYTES) {
		int r = new_file(j, e);

		if (r < 0)
			return r;
	}
	w = write(j->fd, line, n);
	if (w != (ssize_t)n || fdatasync(j->fd) < 0) {
		int r = err_errno(e, "append");

		/* a torn line would break the chain for every reader */
		if (ftruncate(j->fd, j->size) < 0) {
			close(j->fd);
			j->fd = -1;
		}
		return r;
	}
	j->size += w;
	return 0;
}

int
journal_append(struct journal *j, enum journal_cause cause, int64_t utc_us,
	       const struct journal_reading *r, unsigned n, struct err *e)
{
	static const char *const causes[] = { "second", "hour", "change", "start", "close" };
	char before[sizeof(j->previous)];
	json_t *list = json_array(), *entry;
	char *text, *line;
	int x;

	for (unsigned i = 0; i < n; i++)
		if (json_array_append_new(list, reading_json(&r[i])) < 0) {
			json_decref(list);
			return err_set(e, -EINVAL, "journal: a key is not UTF-8");
		}
	memcpy(before, j->previous, sizeof(before));
	/* takes the list, also when it fails */
	entry = json_pack("{sssIsIsssoss}", "boot", j->boot, "sequence",
			  (json_int_t)j->sequence + 1, "time", (json_int_t)utc_us, "cause",
			  causes[cause], "readings", list, "previous", j->previous);
	if (!entry)
		return err_set(e, -EINVAL, "journal: the boot id is not UTF-8");
	x = entry_sign(j, entry, e);
	text = x == 0 ? json_dumps(entry, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	json_decref(entry);
	if (!text)
		return x < 0 ? x : err_set(e, -EINVAL, "journal: not UTF-8");
	line = mem_printf("%s\n", text);
	free(text);
	x = write_line(j, line, strlen(line), e);
	free(line);
	if (x < 0) {
		memcpy(j->previous, before, sizeof(before));
		return err_wrap(e, x, "journal");
	}
	j->sequence++;
	return 0;
}

uint64_t
journal_sequence(const struct journal *j)
{
	return j->sequence;
}

const char *
journal_public_key(const struct journal *j)
{
	return j->public_key;
}

/* ---- Handing in ---- */

/* Entries of one file after the acknowledged one; remembers where they begin. */
static void
read_file(struct journal *j, uint64_t first, json_t *out, unsigned max)
{
	AUTO_FREE char *path = file_path(j, first);
	FILE *f = fopen(path, "re");
	AUTO_FREE char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	off_t at = j->read_file == first ? j->read_at : 0;

	if (!f)
		return;
	if (fseeko(f, at, SEEK_SET) < 0)
		at = 0;
	while (json_array_size(out) < max && (n = getline(&line, &cap, f)) > 0 &&
	       line[n - 1] == '\n') {
		json_t *v = json_loadb(line, (size_t)n, 0, NULL);

		at += n;
		if (!v)
			break;
		if ((uint64_t)json_integer_value(json_object_get(v, "sequence")) >
		    j->acknowledged) {
			json_array_append_new(out, v);
			continue;
		}
		json_decref(v);
		j->read_file = first;
		j->read_at = at;
	}
	fclose(f);
}

struct json_t *
journal_pending(struct journal *j, unsigned max)
{
	struct files fs = list_files(j);
	json_t *out = json_array();

	for (size_t i = 0; i < fs.n && json_array_size(out) < max; i++) {
		/* a file whose successor begins at or before the next wanted entry has none */
		if (i + 1 < fs.n && fs.first[i + 1] <= j->acknowledged + 1)
			continue;
		read_file(j, fs.first[i], out, max);
	}
	free(fs.first);
	return out;
}

static void
remove_old(struct journal *j)
{
	struct files fs = list_files(j);

	for (size_t i = 0; i + 1 < fs.n; i++) {
		AUTO_FREE char *path = file_path(j, fs.first[i]);
		struct stat st;

		if (fs.first[i + 1] <= j->acknowledged + 1 && stat(path, &st) == 0 &&
		    time(NULL) - st.st_mtime > KEEP_SECONDS)
			unlink(path);
	}
	free(fs.first);
}

int
journal_acknowledge(struct journal *j, uint64_t sequence, struct err *e)
{
	AUTO_FREE char *path = mem_printf("%s/acknowledged", j->dir);
	AUTO_FREE char *tmp = mem_printf("%s/.acknowledged", j->dir);
	FILE *f;

	if (sequence > j->sequence)
		return err_set(e, -EINVAL, "acknowledged more than there is");
	if (sequence <= j->acknowledged)
		return 0;
	f = fopen(tmp, "we");
	if (!f || fprintf(f, "%" PRIu64 "\n", sequence) < 0 || fclose(f) != 0 ||
	    rename(tmp, path) < 0)
		return err_errno(e, "%s", path);
	j->acknowledged = sequence;
	remove_old(j);
	return 0;
}
