/* Metrics of circuits, from what their edges report and meter. */
#include "network/types.h"

/* clang-format off */
const struct arm_metric circuit_metrics[] = {
	{ "BitsInPerSecond", "BitsInPerSecond", "Bits ingressing the cloud per second.",
	  "BitsPerSecond", ARM_METRIC_RATE, { "PeeringType", "DeviceRole" } },
	{ "BitsOutPerSecond", "BitsOutPerSecond", "Bits egressing the cloud per second.",
	  "BitsPerSecond", ARM_METRIC_RATE, { "PeeringType", "DeviceRole" } },
	{ "ArpAvailability", "Arp Availability", "The neighbour on the link answers: its BFD or BGP is up.",
	  "Percent", ARM_METRIC_STATE, { "PeeringType", "Peer" } },
	{ "BgpAvailability", "Bgp Availability", "The BGP session is established.",
	  "Percent", ARM_METRIC_STATE, { "PeeringType", "Peer" } },
	{ 0 },
};
/* clang-format on */

/* What a domain's key names. */
struct place {
	const struct arm_resource *circuit;
	const char *peering, *role;
};

static bool
place_find(struct arm_snapshot *s, const char *node, const char *key, struct place *ret)
{
	static const char tail[] = "Peering";
	const char *slash = strchr(key, '/'), *owner;
	struct circuit_place at;
	size_t n;

	if (!slash)
		return false;
	owner = arm_claim_owner(s, CLAIM_SERVICE_KEY,
				arena_strndup(s->arena, key, (size_t)(slash - key)));
	ret->circuit = owner ? arm_get(s, owner) : NULL;
	if (!ret->circuit || !circuit_place(s, ret->circuit, &at))
		return false;
	ret->peering = slash + 1;
	if (!strncmp(ret->peering, "Azure", 5))
		ret->peering += 5;
	n = strlen(ret->peering);
	if (n > sizeof(tail) - 1 && !strcmp(ret->peering + n - (sizeof(tail) - 1), tail))
		ret->peering = arena_strndup(s->arena, ret->peering, n - (sizeof(tail) - 1));
	ret->role = !strcmp(at.edge[0], node) ? "Primary" : "Secondary";
	return true;
}

static void
state_sample(struct arm_snapshot *s, const char *node, const char *key, const json_t *row)
{
	const char *session = arm_str(row, "session", "");
	bool is_up = !strcmp(session, "Established");
	struct place at;

	if (!strcmp(session, "Disabled") || !place_find(s, node, key, &at))
		return;
	arm_metric_add(s, at.circuit->id, &circuit_metrics[2], at.peering, at.role, s->now_us,
		       is_up || arm_bool(row, "linkUp", false) ? 100 : 0);
	arm_metric_add(s, at.circuit->id, &circuit_metrics[3], at.peering, at.role, s->now_us,
		       is_up ? 100 : 0);
}

static void
meter_sample(struct arm_snapshot *s, const char *node, const json_t *entry, const json_t *rd)
{
	static const char *const words[] = { "bytesIn", "bytesOut" };
	const char *key = arm_str(rd, "domain", "");
	struct place at;

	for (int i = 0; i < 2; i++) {
		const char *meter = arena_printf(s->arena, "%s/%s/%lld/%lld/%d", node,
						 arm_str(entry, "boot", ""),
						 (long long)arm_int(rd, "slot", 0),
						 (long long)arm_int(rd, "epoch", 0), i);
		int64_t grown = arm_metric_grown(s, meter, arm_int(rd, words[i], 0));

		if (grown && place_find(s, node, key, &at))
			arm_metric_add(s, at.circuit->id, &circuit_metrics[i], at.peering, at.role,
				       arm_int(entry, "time", s->now_us), grown * 8);
	}
}

void
network_sample(struct arm_snapshot *s, const char *node, const json_t *state, const json_t *entries)
{
	const char *key;
	json_t *row, *entry;
	size_t i, k;

	json_object_foreach(json_object_get(state, "domains"), key, row)
		state_sample(s, node, key, row);
	json_array_foreach((json_t *)entries, i, entry)
		json_array_foreach(json_object_get(entry, "readings"), k, row)
			meter_sample(s, node, entry, row);
}

/* --- what streams are told of sessions -------------------------------------------------------- */

static const char *
resource_of(struct arm_snapshot *s, const char *node, const char *key,
	    const struct arm_resource **ret)
{
	struct place at;

	if (!place_find(s, node, key, &at))
		return NULL;
	*ret = at.circuit;
	return arena_printf(s->arena, "%s/peerings/%s", at.circuit->id, strchr(key, '/') + 1);
}

static int
session_tell(struct arm_snapshot *s, const char *node, const char *key, const json_t *before,
	     const json_t *after)
{
	const char *was = arm_str(before, "session", ""), *is = arm_str(after, "session", "");
	const struct arm_resource *circuit, *xc;
	const char *id;
	int r;

	if (!strcmp(was, is) || (strcmp(was, "Established") && strcmp(is, "Established")))
		return 0;
	id = resource_of(s, node, key, &circuit);
	if (!id)
		return 0;
	r = arm_tell(s, circuit->id, "session",
		     json_pack("{s:s, s:s, s:s, s:s, s:b}", "id", id, "node", node, "session", is,
			       "reason", arm_str(after, "reason", ""), "isUp",
			       !strcmp(is, "Established")));
	xc = circuit_cross_connection(s, circuit);
	if (r == 0 && xc)
		r = arm_tell(s, xc->id, "session",
			     json_pack("{s:s, s:s, s:s, s:b}", "peering", strchr(key, '/') + 1,
				       "node", node, "session", is, "isUp",
				       !strcmp(is, "Established")));
	return r;
}

int
network_reported(struct arm_snapshot *s, const char *node, const json_t *before,
		 const json_t *after)
{
	json_t *was = json_object_get(before, "domains"), *is = json_object_get(after, "domains"),
	       *v;
	const char *key;
	int r = 0;

	json_object_foreach(is, key, v)
		if (r == 0)
			r = session_tell(s, node, key, json_object_get(was, key), v);
	json_object_foreach(was, key, v)
		if (r == 0 && !json_object_get(is, key))
			r = session_tell(s, node, key, v, NULL);
	return r;
}
