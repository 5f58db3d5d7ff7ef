/* Sealing of secrets: AES-256-GCM under a master key that lives in a file outside the store. The
 * place (table and key of the row) is authenticated with the text, so a sealed value cannot be
 * moved to another row. */
#include "base/mem.h"
#include "store/internal.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <sys/stat.h>

enum { NONCE = 12, TAG = 16, HEAD = 1 + NONCE };

static int
key_create(const char *path, uint8_t key[SEAL_KEY_SIZE], struct err *e)
{
	AUTO_CLOSE fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_errno(e, "create %s", path);
	if (RAND_bytes(key, SEAL_KEY_SIZE) != 1)
		return err_set(e, -EIO, "no random bytes");
	if (write(fd, key, SEAL_KEY_SIZE) != SEAL_KEY_SIZE || fsync(fd) < 0) {
		unlink(path);
		return err_errno(e, "write %s", path);
	}
	return 0;
}

int
seal_key_load(const char *path, uint8_t key[SEAL_KEY_SIZE], struct err *e)
{
	AUTO_CLOSE fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return key_create(path, key, e);
	if (fd < 0)
		return err_errno(e, "open %s", path);
	if (fstat(fd, &st) < 0)
		return err_errno(e, "stat %s", path);
	if (st.st_mode & 077)
		return err_set(e, -EPERM, "%s is readable by others: chmod 600 it", path);
	if (read(fd, key, SEAL_KEY_SIZE) != SEAL_KEY_SIZE)
		return err_set(e, -EINVAL, "%s is not a master key of %d bytes", path,
			       SEAL_KEY_SIZE);
	return 0;
}

static void
ctx_free(EVP_CIPHER_CTX **c)
{
	EVP_CIPHER_CTX_free(*c);
}
#define AUTO_CTX __attribute__((cleanup(ctx_free))) EVP_CIPHER_CTX

int
seal_close(const uint8_t key[SEAL_KEY_SIZE], const char *where, const void *p, size_t n,
	   struct buf *ret, struct err *e)
{
	AUTO_CTX *c = EVP_CIPHER_CTX_new();
	int len = 0, tail = 0;

	buf_reset(ret);
	buf_reserve(ret, HEAD + n + TAG);
	ret->p[0] = 1;
	if (RAND_bytes(ret->p + 1, NONCE) != 1 ||
	    EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, ret->p + 1) != 1 ||
	    EVP_EncryptUpdate(c, NULL, &len, (const uint8_t *)where, (int)strlen(where)) != 1 ||
	    EVP_EncryptUpdate(c, ret->p + HEAD, &len, p, (int)n) != 1 ||
	    EVP_EncryptFinal_ex(c, ret->p + HEAD + len, &tail) != 1 ||
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG, ret->p + HEAD + n) != 1)
		return err_set(e, -EIO, "sealing failed");
	ret->n = HEAD + n + TAG;
	return 0;
}

int
seal_open(const uint8_t key[SEAL_KEY_SIZE], const char *where, const void *p, size_t n,
	  struct arena *a, const void **ret, size_t *ret_n, struct err *e)
{
	AUTO_CTX *c = EVP_CIPHER_CTX_new();
	const uint8_t *b = p;
	uint8_t *out, tag[TAG];
	int len = 0, tail = 0;

	if (n < HEAD + TAG || b[0] != 1)
		return err_set(e, -EBADMSG, "a sealed value is damaged");
	out = arena_alloc(a, n);
	n -= HEAD + TAG;
	memcpy(tag, b + HEAD + n, TAG);
	if (EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, b + 1) != 1 ||
	    EVP_DecryptUpdate(c, NULL, &len, (const uint8_t *)where, (int)strlen(where)) != 1 ||
	    EVP_DecryptUpdate(c, out, &len, b + HEAD, (int)n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG, tag) != 1 ||
	    EVP_DecryptFinal_ex(c, out + len, &tail) != 1)
		return err_set(e, -EBADMSG,
			       "a sealed value does not open: is it the right master key?");
	out[n] = '\0';
	*ret = out;
	*ret_n = n;
	return 0;
}
