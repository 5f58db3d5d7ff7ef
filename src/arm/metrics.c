/* Metrics: gathering, and the reads of Microsoft.Insights. See metrics.h. */
#include "arm/metrics.h"

#include "arm/internal.h"

#include <strings.h>
#include <time.h>

enum {
	GRAINS = 3,
	MAX_POINTS = 3000,
	MAX_ANSWER = 30000, /* points of all series together */
	MAX_COUNTERS = 200000,
	GRACE_S = 5,
	MAX_DIMS = 2,
	IDLE_S = 3600, /* after that a target or a counter is forgotten */
	SWEEP_US = 60000000,
	MAX_LINES = 100000, /* that wait for the store; the oldest go */
};

static const struct grain {
	const char *name, *retention;
	int64_t seconds, kept_s;
} grains[GRAINS] = {
	{ "PT1M", "P2D", 60, 2 * 86400LL },
	{ "PT5M", "P14D", 300, 14 * 86400LL },
	{ "PT1H", "P93D", 3600, 93 * 86400LL },
};

/* What a target has gathered; a series is named "metric|dim0|dim1" and holds [n, sum, min, max]. */
struct gather {
	char *target;
	int64_t slot[GRAINS];
	json_t *series[GRAINS]; /* NULL: nothing in this slot */
	int64_t heard_us;
	struct gather *next;
};

struct counter {
	int64_t value, heard_us;
	struct counter *next;
	char name[];
};

struct metrics {
	pthread_mutex_t lock;
	struct map targets;  /* fold -> struct gather * */
	struct map counters; /* name -> struct counter * */
	struct gather *first;
	struct counter *first_counter;
	struct line *lines, **last_line; /* slots that are over */
	size_t n_lines;
	int64_t swept; /* the minute in which idle ones were looked for */
};

struct line {
	char *target, *text;
	int64_t grain, span;
	struct line *next;
};

struct metrics *
metrics_create(void)
{
	struct metrics *m = mem_alloc(sizeof(*m));

	pthread_mutex_init(&m->lock, NULL);
	m->last_line = &m->lines;
	return m;
}

/* --- gathering ------------------------------------------------------------------------------- */

/* Under lock: the slot is over. */
static void
slot_close(struct metrics *m, struct gather *g, int i)
{
	AUTO_FREE char *text = NULL;
	struct line *l;

	if (!g->series[i])
		return;
	l = mem_alloc(sizeof(*l));
	text = json_dumps(g->series[i], JSON_COMPACT);
	l->target = mem_strdup(g->target);
	l->text = mem_printf("%lld %s", (long long)(g->slot[i] % STORE_METRIC_SLOTS), text);
	l->grain = grains[i].seconds;
	l->span = g->slot[i] / STORE_METRIC_SLOTS;
	*m->last_line = l;
	m->last_line = &l->next;
	m->n_lines++;
	json_decref(g->series[i]);
	g->series[i] = NULL;
}

static void
sample_merge(json_t *series, const char *name, int64_t n, int64_t sum, int64_t min, int64_t max)
{
	json_t *v = json_object_get(series, name);

	if (!v) {
		json_object_set_new(series, name,
				    json_pack("[I,I,I,I]", (json_int_t)n, (json_int_t)sum,
					      (json_int_t)min, (json_int_t)max));
		return;
	}
	json_integer_set(json_array_get(v, 0), json_integer_value(json_array_get(v, 0)) + n);
	json_integer_set(json_array_get(v, 1), json_integer_value(json_array_get(v, 1)) + sum);
	json_integer_set(json_array_get(v, 2), MIN(json_integer_value(json_array_get(v, 2)), min));
	json_integer_set(json_array_get(v, 3), MAX(json_integer_value(json_array_get(v, 3)), max));
}

static struct gather *
gather_get(struct metrics *m, const char *target)
{
	struct gather *g = map_get_str(&m->targets, target);

	if (g)
		return g;
	g = mem_alloc(sizeof(*g));
	g->target = mem_strdup(target);
	g->next = m->first;
	m->first = g;
	map_put_str(&m->targets, target, g);
	return g;
}

void
arm_metric_add(struct arm_snapshot *s, const char *target, const struct arm_metric *metric,
	       const char *dim0, const char *dim1, int64_t at_us, int64_t value)
{
	struct metrics *m = s->engine->metrics;
	const char *fold = arm_id_fold(s->arena, target);
	const char *name = arena_printf(s->arena, "%s|%s|%s", metric->name, dim0, dim1);
	struct gather *g;

	pthread_mutex_lock(&m->lock);
	g = gather_get(m, fold);
	g->heard_us = s->now_us;
	for (int i = 0; i < GRAINS; i++) {
		int64_t slot = at_us / 1000000 / grains[i].seconds;

		if (slot != g->slot[i])
			slot_close(m, g, i);
		g->slot[i] = slot;
		if (!g->series[i])
			g->series[i] = json_object();
		sample_merge(g->series[i], name, 1, value, value, value);
	}
	pthread_mutex_unlock(&m->lock);
}

int64_t
arm_metric_grown(struct arm_snapshot *s, const char *name, int64_t now)
{
	struct metrics *m = s->engine->metrics;
	struct counter *k;
	int64_t grown = 0;

	pthread_mutex_lock(&m->lock);
	k = map_get_str(&m->counters, name);
	if (k) {
		grown = MAX(now - k->value, 0);
		k->value = MAX(now, k->value);
	} else if (m->counters.n < MAX_COUNTERS) {
		k = mem_alloc(sizeof(*k) + strlen(name) + 1);
		memcpy(k->name, name, strlen(name) + 1);
		k->value = now;
		k->next = m->first_counter;
		m->first_counter = k;
		map_put_str(&m->counters, name, k);
	}
	if (k)
		k->heard_us = s->now_us;
	pthread_mutex_unlock(&m->lock);
	return grown;
}

struct feed {
	struct arm_engine *en;
	const char *node;
	const json_t *state, *entries;
};

static int
feed_run(struct store_tx *tx, void *arg, struct err *e)
{
	struct feed *f = arg;
	AUTO_ARENA a = { 0 };
	struct arm_error ignored = { .arena = &a };
	AUTO_OVERLAY o;
	struct arm_snapshot s;

	snapshot_init(&s, &o, f->en, tx, &a, NULL, &ignored, utc_now_us());
	for (const struct arm_provider *const *p = f->en->cfg.providers; p && *p; p++)
		if ((*p)->sample)
			(*p)->sample(&s, f->node, f->state, f->entries);
	return 0;
}

void
metrics_feed(struct arm_engine *en, const char *node, const json_t *state, const json_t *entries)
{
	struct feed f = { en, node, state, entries };

	store_read(en->cfg.store, feed_run, &f, NULL);
}

static int
lines_write(struct store_tx *tx, void *arg, struct err *e)
{
	int r = 0;

	for (const struct line *l = arg; l && r == 0; l = l->next)
		r = store_metric_append(tx, l->target, l->grain, l->span, l->text, e);
	return r;
}

static void
lines_free(struct line *l)
{
	while (l) {
		struct line *next = l->next;

		free(l->target);
		free(l->text);
		free(l);
		l = next;
	}
}

/* They go before those that have come since. */
static void
lines_put_back(struct metrics *m, struct line *lines, size_t n)
{
	struct line *last = lines;

	while (last->next)
		last = last->next;
	pthread_mutex_lock(&m->lock);
	last->next = m->lines;
	if (!m->lines)
		m->last_line = &last->next;
	m->lines = lines;
	m->n_lines += n;
	while (m->lines && m->n_lines > MAX_LINES) {
		struct line *l = m->lines;

		m->lines = l->next;
		l->next = NULL;
		lines_free(l);
		m->n_lines--;
	}
	pthread_mutex_unlock(&m->lock);
}

/* Of circuits that are gone, of nodes that have started anew. */
void
metrics_drop_idle(struct metrics *m, int64_t now_us)
{
	int64_t until = now_us - IDLE_S * 1000000LL;

	pthread_mutex_lock(&m->lock);
	for (struct gather **at = &m->first; *at;) {
		struct gather *g = *at;

		if (g->heard_us >= until || g->series[0] || g->series[1] || g->series[2]) {
			at = &g->next;
			continue;
		}
		*at = g->next;
		map_remove_str(&m->targets, g->target);
		free(g->target);
		free(g);
	}
	for (struct counter **at = &m->first_counter; *at;) {
		struct counter *k = *at;

		if (k->heard_us >= until) {
			at = &k->next;
			continue;
		}
		*at = k->next;
		map_remove_str(&m->counters, k->name);
		free(k);
	}
	pthread_mutex_unlock(&m->lock);
}

struct metrics_held
metrics_held(struct metrics *m)
{
	struct metrics_held h;

	pthread_mutex_lock(&m->lock);
	h = (struct metrics_held){ m->targets.n, m->counters.n, m->n_lines };
	pthread_mutex_unlock(&m->lock);
	return h;
}

/* Slots that are over go to the store; with all also those that are not. */
void
metrics_flush(struct arm_engine *en, bool all)
{
	struct metrics *m = en->metrics;
	int64_t now_us = utc_now_us(), now = now_us / 1000000 - GRACE_S;
	struct line *lines;
	bool is_due;
	size_t n;

	pthread_mutex_lock(&m->lock);
	for (struct gather *g = m->first; g; g = g->next)
		for (int i = 0; i < GRAINS; i++)
			if (all || now / grains[i].seconds > g->slot[i])
				slot_close(m, g, i);
	is_due = now_us / SWEEP_US != m->swept;
	m->swept = now_us / SWEEP_US;
	lines = TAKE(m->lines);
	n = m->n_lines;
	m->n_lines = 0;
	m->last_line = &m->lines;
	pthread_mutex_unlock(&m->lock);
	if (lines && store_write(en->cfg.store, lines_write, lines, NULL) < 0)
		lines_put_back(m, lines, n);
	else
		lines_free(lines);
	if (is_due)
		metrics_drop_idle(m, now_us);
}

void
metrics_destroy(struct metrics *m)
{
	while (m->first) {
		struct gather *g = m->first;

		m->first = g->next;
		for (int i = 0; i < GRAINS; i++)
			json_decref(g->series[i]);
		free(g->target);
		free(g);
	}
	while (m->first_counter) {
		struct counter *k = m->first_counter;

		m->first_counter = k->next;
		free(k);
	}
	lines_free(m->lines);
	map_fini(&m->targets);
	map_fini(&m->counters);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

int
metrics_prune(struct store_tx *tx, int64_t now_us, struct err *e)
{
	int r = 0;

	for (int i = 0; i < GRAINS && r == 0; i++)
		r = store_metric_prune(tx, grains[i].seconds,
				       (now_us / 1000000 - grains[i].kept_s) / grains[i].seconds /
					       STORE_METRIC_SLOTS,
				       e);
	return r;
}

/* --- what is asked --------------------------------------------------------------------------- */

struct query {
	const struct grain *grain;
	int grain_index;
	int64_t from, to; /* seconds */
	const struct arm_metric *metrics[16];
	size_t n_metrics;
	bool average, minimum, maximum, count, total;
	struct {
		const char *name, *value; /* value "*": a series for each */
	} dims[MAX_DIMS];
	size_t n_dims;
	int64_t n_points; /* in the answer so far */
};

static const struct arm_type *
scope_type(struct ctx *c, struct arm_snapshot *s)
{
	const struct arm_resource *r = NULL;

	return c->scope->is_resource && arm_get_element(s, c->scope->shown, &r) ? r->type : NULL;
}

/* A parameter of the request; az escapes some of these twice. */
static const char *
param(struct ctx *c, const char *name)
{
	const char *text = query_param(c->a, c->req->query, name);

	if (text && strchr(text, '%'))
		text = query_param(c->a, arena_printf(c->a, "%s=%s", name, text), name);
	return text;
}

static bool
time_parse(const char *text, size_t n, int64_t *ret)
{
	struct tm tm = { 0 };
	char copy[64];
	const char *end;

	if (n >= sizeof(copy))
		return false;
	memcpy(copy, text, n);
	copy[n] = '\0';
	end = strptime(copy, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!end) {
		tm = (struct tm){ 0 };
		end = strptime(copy, "%Y-%m-%dT%H:%M", &tm);
	}
	if (!end)
		return false;
	if (*end == '.')
		end += 1 + strspn(end + 1, "0123456789");
	*ret = timegm(&tm);
	return !*end || !strcmp(end, "Z") || !strcmp(end, "+00:00") || !strcmp(end, " 00:00");
}

static int
span_parse(struct ctx *c, struct query *q)
{
	const char *text = param(c, "timespan");
	const char *slash = text ? strchr(text, '/') : NULL;

	q->to = c->now_us / 1000000;
	q->from = q->to - 3600;
	if (text && (!slash || !time_parse(text, (size_t)(slash - text), &q->from) ||
		     !time_parse(slash + 1, strlen(slash + 1), &q->to)))
		return arm_refuse(&c->error, 400, "BadRequest",
				  "timespan: '%s' must be two times in UTC, "
				  "'2026-01-02T03:04:05Z/2026-01-02T04:04:05Z'.",
				  text);
	if (q->from >= q->to)
		return arm_refuse(&c->error, 400, "BadRequest",
				  "timespan: its start must be before its end.");
	if ((q->to - q->from) / q->grain->seconds > MAX_POINTS)
		return arm_refuse(
			&c->error, 400, "BadRequest",
			"timespan: at most %d points at a time; ask for a longer interval "
			"than %s.",
			MAX_POINTS, q->grain->name);
	q->from -= q->from % q->grain->seconds;
	return 0;
}

static int
grain_parse(struct ctx *c, struct query *q)
{
	const char *text = param(c, "interval");

	for (q->grain_index = 0; text && *text && q->grain_index < GRAINS; q->grain_index++)
		if (same(grains[q->grain_index].name, text))
			break;
	if (q->grain_index == GRAINS)
		return arm_refuse(&c->error, 400, "BadRequest",
				  "interval: '%s' must be PT1M, PT5M or PT1H.", text);
	q->grain = &grains[q->grain_index];
	return 0;
}

static int
names_parse(struct ctx *c, const struct arm_type *t, struct query *q)
{
	const char *text = param(c, "metricnames");
	AUTO_BUF all = { 0 };

	for (const struct arm_metric *m = t->metrics; m && m->name; m++)
		buf_printf(&all, "%s%s", all.n ? ", " : "", m->name);
	for (const char *p = text; p && *p;) {
		size_t n = strcspn(p, ",");
		const struct arm_metric *m = t->metrics;

		while (m && m->name && (strlen(m->name) != n || strncasecmp(m->name, p, n)))
			m++;
		if (!m || !m->name || q->n_metrics == COUNT(q->metrics))
			return arm_refuse(&c->error, 400, "BadRequest",
					  "Failed to find metric configuration for metric: %.*s. "
					  "Valid metrics: %s",
					  (int)MIN(n, 80), p, buf_str(&all));
		for (size_t i = 0; i < q->n_metrics; i++)
			if (q->metrics[i] == m)
				return arm_refuse(&c->error, 400, "BadRequest",
						  "metricnames: %s is named twice.", m->name);
		q->metrics[q->n_metrics++] = m;
		p += n + (p[n] == ',');
	}
	if (!q->n_metrics && t->metrics && t->metrics->name)
		q->metrics[q->n_metrics++] = t->metrics;
	return 0;
}

static int
aggregations_parse(struct ctx *c, struct query *q)
{
	const char *text = param(c, "aggregation");
	const struct {
		const char *name;
		bool *flag;
	} words[] = { { "average", &q->average },
		      { "minimum", &q->minimum },
		      { "maximum", &q->maximum },
		      { "count", &q->count },
		      { "total", &q->total } };

	q->average = !text || !*text;
	for (const char *p = text; p && *p;) {
		size_t n = strcspn(p, ","), i = 0;

		while (i < COUNT(words) &&
		       (strlen(words[i].name) != n || strncasecmp(words[i].name, p, n)))
			i++;
		if (i == COUNT(words))
			return arm_refuse(&c->error, 400, "BadRequest",
					  "aggregation: '%.*s' must be Average, Minimum, Maximum, "
					  "Count or Total.",
					  (int)MIN(n, 80), p);
		*words[i].flag = true;
		p += n + (p[n] == ',');
	}
	return 0;
}

/* "PeeringType eq 'Private' and DeviceRole eq '*'" */
static int
filter_parse(struct ctx *c, struct query *q)
{
	const char *text = param(c, "$filter"), *p = text;

	while (p && *p) {
		char name[41] = "", value[65] = "";
		int n = 0;

		if (sscanf(p, " %40[A-Za-z0-9] eq '%64[^']'%n", name, value, &n) != 2 || !n ||
		    q->n_dims == MAX_DIMS)
			return arm_refuse(&c->error, 400, "BadRequest",
					  "$filter: must be like \"PeeringType eq 'Private' and "
					  "DeviceRole eq '*'\", of at most %d dimensions.",
					  MAX_DIMS);
		q->dims[q->n_dims].name = arena_strdup(c->a, name);
		q->dims[q->n_dims++].value = arena_strdup(c->a, value);
		p += n + strspn(p + n, " ");
		if (!strncasecmp(p, "and ", 4))
			p += 4;
		else if (*p)
			return arm_refuse(&c->error, 400, "BadRequest",
					  "$filter: conditions are joined by 'and'.");
	}
	for (size_t i = 0; i < q->n_dims; i++)
		for (size_t k = 0; k < q->n_metrics; k++) {
			const struct arm_metric *m = q->metrics[k];

			if (!(m->dims[0] && same(m->dims[0], q->dims[i].name)) &&
			    !(m->dims[1] && same(m->dims[1], q->dims[i].name)))
				return arm_refuse(&c->error, 400, "BadRequest",
						  "$filter: %s is no dimension of %s.",
						  q->dims[i].name, m->name);
		}
	return 0;
}

/* --- answers --------------------------------------------------------------------------------- */

/* Slots of the time asked for: {"slot": {"series": [..]}}, from the store and what is gathered. */
static void
span_read(struct ctx *c, struct arm_snapshot *s, const struct query *q, int64_t span, json_t *slots)
{
	const char *text = NULL;

	if (store_metric_get(s->tx, c->a, c->scope->fold, q->grain->seconds, span, &text,
			     &c->err) != 1)
		return;
	for (const char *p = text; *p;) {
		size_t n = strcspn(p, "\n"), k = strcspn(p, " ");
		json_t *line = k < n ? json_loadb(p + k, n - k, 0, NULL) : NULL;
		char key[24];
		const char *name;
		json_t *v, *at;

		snprintf(key, sizeof(key), "%lld",
			 (long long)(span * STORE_METRIC_SLOTS + strtoll(p, NULL, 10)));
		at = json_object_get(slots, key);
		if (!at) {
			at = json_object();
			json_object_set_new(slots, key, at);
		}
		json_object_foreach(line, name, v)
			sample_merge(at, name, json_integer_value(json_array_get(v, 0)),
				     json_integer_value(json_array_get(v, 1)),
				     json_integer_value(json_array_get(v, 2)),
				     json_integer_value(json_array_get(v, 3)));
		json_decref(line);
		p += n + (p[n] == '\n');
	}
}

static void
gathered_read(struct ctx *c, const struct query *q, json_t *slots)
{
	struct metrics *m = c->en->metrics;
	struct gather *g;
	char key[24];

	pthread_mutex_lock(&m->lock);
	g = map_get_str(&m->targets, c->scope->fold);
	if (g && g->series[q->grain_index]) {
		json_t *copy = json_deep_copy(g->series[q->grain_index]), *at;
		const char *name;
		json_t *v;

		snprintf(key, sizeof(key), "%lld", (long long)g->slot[q->grain_index]);
		at = json_object_get(slots, key);
		if (!at) {
			json_object_set_new(slots, key, copy);
		} else {
			json_object_foreach(copy, name, v)
				sample_merge(at, name, json_integer_value(json_array_get(v, 0)),
					     json_integer_value(json_array_get(v, 1)),
					     json_integer_value(json_array_get(v, 2)),
					     json_integer_value(json_array_get(v, 3)));
			json_decref(copy);
		}
	}
	pthread_mutex_unlock(&m->lock);
}

/* Splits "metric|dim0|dim1"; false: another metric's. */
static bool
series_parse(struct ctx *c, const struct arm_metric *m, const char *name,
	     const char *dims[MAX_DIMS])
{
	size_t n = strlen(m->name);
	const char *bar;

	if (strncmp(name, m->name, n) || name[n] != '|')
		return false;
	name += n + 1;
	bar = strchr(name, '|');
	if (!bar)
		return false;
	dims[0] = arena_strndup(c->a, name, (size_t)(bar - name));
	dims[1] = bar + 1;
	return true;
}

static const char *
dim_of(const struct arm_metric *m, const char *const dims[MAX_DIMS], const char *name)
{
	for (int i = 0; i < MAX_DIMS; i++)
		if (m->dims[i] && same(m->dims[i], name))
			return dims[i];
	return "";
}

/* The name of the group of series that this one is shown in; NULL: not asked for. */
static const char *
group_of(struct ctx *c, const struct query *q, const struct arm_metric *m, const char *name)
{
	const char *dims[MAX_DIMS], *out = "";

	if (!series_parse(c, m, name, dims))
		return NULL;
	for (size_t i = 0; i < q->n_dims; i++) {
		const char *v = dim_of(m, dims, q->dims[i].name);

		if (strcmp(q->dims[i].value, "*") && !same(q->dims[i].value, v))
			return NULL;
		out = arena_printf(c->a, "%s%s|", out, v);
	}
	return out;
}

static json_t *
point_json(const struct query *q, const struct arm_metric *m, int64_t slot, json_t *sum)
{
	char when[32];
	json_t *p = json_pack("{s:s}", "timeStamp",
			      utc_format(slot * q->grain->seconds * 1000000, when));
	double n = (double)json_integer_value(json_array_get(sum, 0));
	double total = (double)json_integer_value(json_array_get(sum, 1));

	when[19] = 'Z';
	when[20] = '\0';
	json_object_set_new(p, "timeStamp", json_string(when));
	if (!sum)
		return p;
	if (q->average)
		json_object_set_new(p, "average",
				    json_real(m->kind == ARM_METRIC_RATE
						      ? total / (double)q->grain->seconds
						      : total / n));
	if (q->minimum && m->kind == ARM_METRIC_STATE)
		json_object_set(p, "minimum", json_array_get(sum, 2));
	if (q->maximum && m->kind == ARM_METRIC_STATE)
		json_object_set(p, "maximum", json_array_get(sum, 3));
	if (q->count)
		json_object_set(p, "count", json_array_get(sum, 0));
	if (q->total)
		json_object_set(p, "total", json_array_get(sum, 1));
	return p;
}

static json_t *
group_json(struct ctx *c, const struct query *q, const struct arm_metric *m, const char *group,
	   const json_t *group_by_series, json_t *slots)
{
	json_t *data = json_array(), *meta = json_array();
	const char *part = group;

	for (size_t i = 0; i < q->n_dims; i++) {
		size_t n = strcspn(part, "|");

		json_array_append_new(meta,
				      json_pack("{s:{s:s, s:s}, s:s}", "name", "value",
						q->dims[i].name, "localizedValue", q->dims[i].name,
						"value", arena_strndup(c->a, part, n)));
		part += n + (part[n] == '|');
	}
	for (int64_t t = q->from; t < q->to; t += q->grain->seconds) {
		json_t *sum = json_object(), *at, *v;
		const char *name;
		char key[24];

		snprintf(key, sizeof(key), "%lld", (long long)(t / q->grain->seconds));
		at = json_object_get(slots, key);
		json_object_foreach(at, name, v) {
			const char *g = json_string_value(json_object_get(group_by_series, name));

			if (g && !strcmp(g, group))
				sample_merge(sum, "all", json_integer_value(json_array_get(v, 0)),
					     json_integer_value(json_array_get(v, 1)),
					     json_integer_value(json_array_get(v, 2)),
					     json_integer_value(json_array_get(v, 3)));
		}
		/* Something was heard of it then, but of no traffic: there was none. */
		if (at && m->kind == ARM_METRIC_RATE)
			sample_merge(sum, "all", 0, 0, 0, 0);
		json_array_append_new(data, point_json(q, m, t / q->grain->seconds,
						       json_object_get(sum, "all")));
		json_decref(sum);
	}
	return json_pack("{s:o, s:o}", "metadatavalues", meta, "data", data);
}

/* NULL: refused. */
static json_t *
metric_json(struct ctx *c, struct query *q, const struct arm_metric *m, json_t *slots)
{
	json_t *groups = json_object(), *group_by_series = json_object(), *series, *at, *v;
	const char *slot, *name;

	if (!q->n_dims)
		json_object_set_new(groups, "", json_true());
	json_object_foreach(slots, slot, at)
		json_object_foreach(at, name, v) {
			const char *g;

			if (json_object_get(group_by_series, name))
				continue;
			g = group_of(c, q, m, name);
			json_object_set_new(group_by_series, name,
					    g ? json_string(g) : json_null());
			if (g)
				json_object_set_new(groups, g, json_true());
		}
	q->n_points +=
		(int64_t)json_object_size(groups) * ((q->to - q->from) / q->grain->seconds + 1);
	if (q->n_points > MAX_ANSWER) {
		json_decref(groups);
		json_decref(group_by_series);
		arm_refuse(&c->error, 400, "BadRequest",
			   "The answer would have more than %d points. Ask for fewer metrics or "
			   "dimensions, a shorter timespan or a longer interval than %s.",
			   MAX_ANSWER, q->grain->name);
		return NULL;
	}
	series = json_array();
	json_object_foreach(groups, name, v)
		json_array_append_new(series, group_json(c, q, m, name, group_by_series, slots));
	json_decref(groups);
	json_decref(group_by_series);
	return json_pack("{s:s, s:s, s:{s:s, s:s}, s:s, s:s, s:s, s:o}", "id",
			 arena_printf(c->a, "%s/providers/Microsoft.Insights/metrics/%s",
				      c->scope->shown, m->name),
			 "type", "Microsoft.Insights/metrics", "name", "value", m->name,
			 "localizedValue", m->display, "displayDescription", m->description, "unit",
			 m->unit, "errorCode", "Success", "timeseries", series);
}

static const char *
when(struct ctx *c, int64_t seconds)
{
	char text[32];

	utc_format(seconds * 1000000, text);
	text[19] = 'Z';
	text[20] = '\0';
	return arena_strdup(c->a, text);
}

static int
list_run(struct ctx *c, struct arm_snapshot *s, const struct arm_type *t)
{
	struct query q = { 0 };
	json_t *slots, *value;
	int r = grain_parse(c, &q);

	if (r == 0)
		r = span_parse(c, &q);
	if (r == 0)
		r = names_parse(c, t, &q);
	if (r == 0)
		r = aggregations_parse(c, &q);
	if (r == 0)
		r = filter_parse(c, &q);
	if (r < 0)
		return r;
	slots = json_object();
	value = json_array();
	for (int64_t span = q.from / q.grain->seconds / STORE_METRIC_SLOTS;
	     span <= q.to / q.grain->seconds / STORE_METRIC_SLOTS; span++)
		span_read(c, s, &q, span, slots);
	gathered_read(c, &q, slots);
	for (size_t i = 0; i < q.n_metrics && r == 0; i++) {
		json_t *one = metric_json(c, &q, q.metrics[i], slots);

		if (one)
			json_array_append_new(value, one);
		else
			r = -EBADE;
	}
	json_decref(slots);
	if (r < 0) {
		json_decref(value);
		return r;
	}
	c->resp.body = json_pack("{s:i, s:s, s:s, s:s, s:s, s:o}", "cost", 0, "timespan",
				 arena_printf(c->a, "%s/%s", when(c, q.from), when(c, q.to)),
				 "interval", q.grain->name, "namespace",
				 arena_printf(c->a, "%s/%s", t->ns, t->name), "resourceregion",
				 arm_str(arm_get(s, c->scope->shown)->body, "location", ""),
				 "value", value);
	return 0;
}

static json_t *
definition_json(struct ctx *c, const struct arm_type *t, const struct arm_metric *m)
{
	const char *id = c->scope->shown;
	json_t *dims = json_array(), *grain = json_array();

	for (int i = 0; i < MAX_DIMS; i++)
		if (m->dims[i])
			json_array_append_new(dims, json_pack("{s:s, s:s}", "value", m->dims[i],
							      "localizedValue", m->dims[i]));
	for (int i = 0; i < GRAINS; i++)
		json_array_append_new(grain, json_pack("{s:s, s:s}", "timeGrain", grains[i].name,
						       "retention", grains[i].retention));
	return json_pack("{s:s, s:s, s:s, s:{s:s, s:s}, s:s, s:b, s:s, s:s, s:o, s:o, s:o}", "id",
			 arena_printf(c->a, "%s/providers/microsoft.insights/metricdefinitions/%s",
				      id, m->name),
			 "resourceId", id, "namespace", arena_printf(c->a, "%s/%s", t->ns, t->name),
			 "name", "value", m->name, "localizedValue", m->display,
			 "displayDescription", m->description, "isDimensionRequired", 0, "unit",
			 m->unit, "primaryAggregationType", "Average", "supportedAggregationTypes",
			 m->kind == ARM_METRIC_RATE
				 ? json_pack("[s]", "Average")
				 : json_pack("[s,s,s]", "Average", "Minimum", "Maximum"),
			 "metricAvailabilities", grain, "dimensions", dims);
}

static int
definitions_run(struct ctx *c, const struct arm_type *t)
{
	json_t *value = json_array();

	for (const struct arm_metric *m = t->metrics; m && m->name; m++)
		json_array_append_new(value, definition_json(c, t, m));
	c->resp.body = json_pack("{s:o}", "value", value);
	return 0;
}

static int
namespaces_run(struct ctx *c, const struct arm_type *t)
{
	const char *ns = arena_printf(c->a, "%s/%s", t->ns, t->name);

	c->resp.body =
		json_pack("{s:[{s:s, s:s, s:s, s:s, s:{s:s}}]}", "value", "id",
			  arena_printf(c->a, "%s/providers/microsoft.insights/metricNamespaces/%s",
				       c->scope->shown, ns),
			  "name", t->name, "type", "Microsoft.Insights/metricNamespaces",
			  "classification", "Platform", "properties", "metricNamespaceName", ns);
	return 0;
}

static int
metrics_run(struct ctx *c, struct arm_snapshot *s)
{
	const char *what = c->extra;
	const struct arm_type *t;
	int r = authorise(c, s->tx, c->scope->sub,
			  arena_printf(c->a, "Microsoft.Insights/%s/read", what), c->scope->fold);

	if (r == 0)
		r = scope_check(c, s);
	if (r < 0)
		return r;
	t = scope_type(c, s);
	if (!t || !t->metrics)
		return arm_refuse(&c->error, 400, "BadRequest",
				  "There are no metrics of this kind of resource.");
	c->resp.status = 200;
	return same(what, "metrics")             ? list_run(c, s, t)
	       : same(what, "metricDefinitions") ? definitions_run(c, t)
						 : namespaces_run(c, t);
}

int
handle_metrics(struct ctx *c)
{
	const struct path *p = &c->path;

	if (c->req->method != ARM_GET || c->scope->n_seg)
		return arm_refuse(&c->error, 405, "MethodNotAllowed", "Metrics are read by GET.");
	c->extra = same(p->seg[p->n - 1], "metrics")             ? "metrics"
		   : same(p->seg[p->n - 1], "metricDefinitions") ? "metricDefinitions"
								 : "metricNamespaces";
	return reading(c, metrics_run);
}
