/* How many requests of a kind a principal has left: a bucket for each of reads, writes and deletions,
 * refilled evenly over the hour. Shown in every answer; who has none left gets 429.
 *
 * The buckets live in a table of fixed size, in this controller's memory. Where two principals meet in a
 * slot the newer one takes it with a full bucket, so nobody is ever refused for another's requests. */
#include "arm/internal.h"

enum kind { READS, WRITES, DELETES };

static const char *const headers[] = {
	[READS] = "x-ms-ratelimit-remaining-subscription-reads",
	[WRITES] = "x-ms-ratelimit-remaining-subscription-writes",
	[DELETES] = "x-ms-ratelimit-remaining-subscription-deletes",
};

static enum kind
kind_of(const struct ctx *c)
{
	switch (c->req->method) {
	case ARM_GET:
	case ARM_HEAD:
		return READS;
	case ARM_DELETE:
		return DELETES;
	default:
		return WRITES;
	}
}

/* FNV-1a */
static uint64_t
hash(const char *s, unsigned kind)
{
	uint64_t h = 0xcbf29ce484222325 ^ kind;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3;
	return h;
}

int
throttle(struct ctx *c)
{
	struct arm_engine *en = c->en;
	enum kind kind = kind_of(c);
	const double per_hour = kind == READS ? en->cfg.reads_per_hour : en->cfg.writes_per_hour;
	uint64_t key = hash(c->caller.oid, kind);
	struct bucket *b = &en->buckets[key % COUNT(en->buckets)];
	double left;

	pthread_mutex_lock(&en->lock);
	if (b->key != key)
		*b = (struct bucket){ key, per_hour, c->now_us };
	if (c->now_us > b->at_us) { /* the clock may have been set back */
		b->left += (double)(c->now_us - b->at_us) / 3.6e9 * per_hour;
		b->left = MIN(b->left, per_hour);
	}
	b->at_us = c->now_us;
	left = b->left;
	if (left >= 1)
		b->left = left -= 1;
	else
		left = -1;
	pthread_mutex_unlock(&en->lock);
	c->remaining_header = headers[kind];
	c->remaining = (long)MAX(left, 0);
	if (left >= 0)
		return 0;
	c->error.retry_after = (int)MAX(1, 3600 / per_hour);
	return arm_refuse(&c->error, 429, "SubscriptionRequestsThrottled",
			  "You have sent more than %.0f %s within an hour. Please wait %d seconds.",
			  per_hour,
			  kind == READS    ? "reads"
			  : kind == WRITES ? "writes"
					   : "deletions",
			  c->error.retry_after);
}
