/* Microsoft.Network/virtualNetworks/virtualNetworkPeerings: two virtual networks that reach each
 * other once both have said so.
 *
 *   (none) --PUT--> Initiated --the other side's PUT--> Connected --the other side gone--> Disconnected
 *                       ^                                                                       |
 *                       `-------------------------------- PUT ----------------------------------'
 *
 * A side remembers the remote's address space as of the last synchronisation; peeringSyncLevel says
 * whether either side's has changed since. One side may lend its gateway to the other (hub and
 * spoke): then the hub's circuits reach the spoke, see link.c. */
#include "network/vnet.h"

#include "arm/engine.h"

#define REMOTE "properties.remoteVirtualNetwork"
#define STATE "properties.peeringState"
#define PEERINGS "virtualNetworkPeerings"

/* ---- the two sides ---- */

static const json_t *
peering_to(const struct arm_resource *vnet, const char *remote)
{
	json_t *one;
	size_t i;

	json_array_foreach(collection_of(vnet->body, PEERINGS), i, one) {
		const char *id = arm_ref(one, REMOTE);

		if (id && arm_id_equal(id, remote))
			return one;
	}
	return NULL;
}

static struct vnet_peer
peer_of(struct arm_snapshot *s, const struct arm_resource *vnet, const json_t *peering)
{
	const char *id = arm_ref(peering, REMOTE);
	const struct arm_resource *remote = id ? arm_get(s, id) : NULL;

	if (remote && (remote->is_deleting || remote->type != &vnet_type))
		remote = NULL;
	return (struct vnet_peer){ peering, remote, remote ? peering_to(remote, vnet->id) : NULL };
}

size_t
vnet_peers(struct arm_snapshot *s, const struct arm_resource *vnet, struct vnet_peer **ret)
{
	const json_t *list = collection_of(vnet->body, PEERINGS);
	size_t n = json_array_size(list);

	*ret = NEW_ARRAY(s->arena, struct vnet_peer, n + 1);
	for (size_t i = 0; i < n; i++)
		(*ret)[i] = peer_of(s, vnet, json_array_get(list, i));
	return n;
}

bool
vnet_peer_is_connected(const struct vnet_peer *peer)
{
	return peer->remote && peer->reverse &&
	       text_equal(arm_str(peer->peering, STATE, ""), "Connected") &&
	       arm_bool(peer->peering, "properties.allowVirtualNetworkAccess", true) &&
	       arm_bool(peer->reverse, "properties.allowVirtualNetworkAccess", true);
}

bool
vnet_peer_uses_gateway(const struct vnet_peer *peer)
{
	return vnet_peer_is_connected(peer) &&
	       arm_bool(peer->peering, "properties.useRemoteGateways", false) &&
	       arm_bool(peer->reverse, "properties.allowGatewayTransit", false);
}

bool
vnet_peer_lends_gateway(const struct vnet_peer *peer)
{
	return vnet_peer_is_connected(peer) &&
	       arm_bool(peer->reverse, "properties.useRemoteGateways", false) &&
	       arm_bool(peer->peering, "properties.allowGatewayTransit", false);
}

/* ---- address spaces ---- */

/* The first pair of overlapping prefixes, as text; NULL: none. */
static const char *
overlap_text(struct arm_snapshot *s, const struct arm_resource *a, const struct arm_resource *b)
{
	struct prefix *x, *y;
	size_t n_x = vnet_prefixes(s, a, &x), n_y = vnet_prefixes(s, b, &y);

	for (size_t i = 0; i < n_x; i++) {
		const struct prefix *hit = prefix_find_overlap(y, n_y, &x[i]);
		char one[PREFIX_TEXT], other[PREFIX_TEXT];

		if (hit)
			return arena_printf(s->arena, "%s and %s", prefix_format(&x[i], one),
					    prefix_format(hit, other));
	}
	return NULL;
}

/* Beside the other peers of a virtual network. */
static int
peers_overlap_check(struct arm_plan *p, const struct arm_resource *vnet,
		    const struct arm_resource *other)
{
	struct vnet_peer *v;

	for (size_t i = 0, n = vnet_peers(p->s, vnet, &v); i < n; i++) {
		const char *text = v[i].remote && v[i].remote != other && v[i].remote != vnet
					   ? overlap_text(p->s, v[i].remote, other)
					   : NULL;

		if (text)
			return arm_refuse(p->s->error, 400,
					  "VnetAddressSpaceOverlapsWithAlreadyPeeredVnet",
					  "The address space of %s overlaps that of %s, which is "
					  "peered with %s: %s.",
					  other->id, vnet_shown(p->s, v[i].remote), vnet->id, text);
	}
	return 0;
}

/* ---- checks ---- */

static bool
has_gateway(struct arm_snapshot *s, const struct arm_resource *vnet)
{
	return arm_claim_owner(s, CLAIM_GATEWAY, vnet->fold) ||
	       arm_claim_owner(s, CLAIM_VPN_GATEWAY, vnet->fold);
}

static int
gateway_flags_check(struct arm_plan *p, const char *id, const struct vnet_peer *peer)
{
	struct arm_error *e = p->s->error;
	struct vnet_peer *v;

	if (!arm_bool(peer->peering, "properties.useRemoteGateways", false)) {
		if (peer->reverse &&
		    !arm_bool(peer->peering, "properties.allowGatewayTransit", false) &&
		    arm_bool(peer->reverse, "properties.useRemoteGateways", false))
			return arm_refuse_at(e, 400, "AllowGatewayTransitCannotBeDisabled",
					     "properties.allowGatewayTransit",
					     "The remote peering in %s uses the gateways of this "
					     "virtual network.",
					     peer->remote->id);
		return 0;
	}
	if (arm_bool(peer->peering, "properties.allowGatewayTransit", false))
		return arm_refuse_at(e, 400, "AllowGatewayTransitAndUseRemoteGatewaysConflict",
				     "properties.useRemoteGateways",
				     "Peering %s cannot both lend and use gateways.", id);
	if (has_gateway(p->s, p->want))
		return arm_refuse_at(e, 400, "VnetHasGatewayCannotUseRemoteGateways",
				     "properties.useRemoteGateways",
				     "Peering %s cannot have UseRemoteGateways set: virtual "
				     "network %s has a gateway of its own.",
				     id, p->want->id);
	for (size_t i = 0, n = vnet_peers(p->s, p->want, &v); i < n; i++)
		if (v[i].peering != peer->peering &&
		    arm_bool(v[i].peering, "properties.useRemoteGateways", false))
			return arm_refuse_at(e, 400, "OnlyOnePeeringMayUseRemoteGateways",
					     "properties.useRemoteGateways",
					     "Peering '%s' uses remote gateways already.",
					     arm_str(v[i].peering, "name", ""));
	if (arm_bool(peer->peering, "properties.doNotVerifyRemoteGateways", false))
		return 0;
	if (peer->remote && !has_gateway(p->s, peer->remote))
		return arm_refuse_at(e, 400, "RemoteVnetHasNoGateways",
				     "properties.useRemoteGateways",
				     "Peering %s cannot have UseRemoteGateway flag set to true "
				     "because remote virtual network %s referenced by the peering "
				     "does not have any gateways.",
				     id, peer->remote->id);
	if (peer->reverse && !arm_bool(peer->reverse, "properties.allowGatewayTransit", false))
		return arm_refuse_at(e, 400, "RemotePeeringDoesNotAllowGatewayTransit",
				     "properties.useRemoteGateways",
				     "Peering %s cannot have UseRemoteGateways set: the remote "
				     "peering does not allow gateway transit.",
				     id);
	return 0;
}

static int
remote_check(struct arm_plan *p, const char *id, const struct vnet_peer *peer)
{
	struct arm_error *e = p->s->error;
	json_t *one;
	size_t i;

	if (!peer->remote)
		return arm_refuse_at(e, 400, "InvalidResourceReference", REMOTE,
				     "There is no virtual network %s.",
				     arm_ref(peer->peering, REMOTE));
	if (text_equal(peer->remote->fold, p->want->fold))
		return arm_refuse_at(e, 400, "InvalidResourceReference", REMOTE,
				     "A virtual network cannot be peered with itself.");
	json_array_foreach(collection_of(p->want->body, PEERINGS), i, one) {
		if (one != peer->peering && arm_id_equal(arm_ref(one, REMOTE), peer->remote->id))
			return arm_refuse_at(e, 400, "AnotherPeeringAlreadyReferencesRemoteVnet",
					     REMOTE,
					     "Peering '%s' references remote virtual network %s "
					     "already. Cannot add peering %s.",
					     arm_str(one, "name", ""), peer->remote->id, id);
	}
	if (peer->reverse && text_equal(arm_str(peer->reverse, STATE, ""), "Disconnected"))
		return arm_refuse(
			e, 400, "RemotePeeringIsDisconnected",
			"Cannot create or update peering %s because remote peering "
			"%s/virtualNetworkPeerings/%s is in Disconnected state. Update or "
			"re-create the remote peering to get it back to Initiated state.",
			id, peer->remote->id, arm_str(peer->reverse, "name", ""));
	const char *text = overlap_text(p->s, p->want, peer->remote);

	if (text)
		return arm_refuse(e, 400, "VnetAddressSpacesOverlap",
				  "Cannot create or update peering %s. Virtual networks %s and %s "
				  "cannot be peered because their address spaces overlap: %s.",
				  id, p->want->id, peer->remote->id, text);
	int r = peers_overlap_check(p, p->want, peer->remote);

	return r < 0 ? r : peers_overlap_check(p, peer->remote, p->want);
}

/* ---- states ---- */

static void
space_remember(json_t *peering, const struct arm_resource *remote)
{
	arm_set(peering, "properties.remoteAddressSpace",
		json_deep_copy(arm_at(remote->body, "properties.addressSpace")));
}

/* The other side of a peering, to be changed. */
static json_t *
reverse_edit(struct arm_plan *p, const struct vnet_peer *peer)
{
	struct arm_resource *r = arm_edit(p, peer->remote->id);

	return r ? arm_child(r->body, PEERINGS, arm_str(peer->reverse, "name", "")) : NULL;
}

/* Of a peering that was written: is the other side there, or not yet? */
static void
state_settle(struct arm_plan *p, json_t *mine, const struct vnet_peer *peer, bool is_new)
{
	const char *sync = arm_query(p->s->arena, p->s->query, "syncRemoteAddressSpace");
	bool is_sync = is_new || text_equal(sync, "true") ||
		       !text_equal(arm_str(mine, STATE, ""), "Connected");

	arm_set(mine, STATE, json_string(peer->reverse ? "Connected" : "Initiated"));
	if (!*arm_str(mine, "properties.resourceGuid", ""))
		arm_set(mine, "properties.resourceGuid", json_string(arm_new_guid(p)));
	if (is_sync)
		space_remember(mine, peer->remote);
	json_t *other = peer->reverse ? reverse_edit(p, peer) : NULL;

	if (!other)
		return;
	arm_set(other, STATE, json_string("Connected"));
	if (is_sync)
		space_remember(other, p->want);
}

static void
disconnect(struct arm_plan *p, const struct vnet_peer *peer)
{
	json_t *other = peer->reverse ? reverse_edit(p, peer) : NULL;

	if (other)
		arm_set(other, STATE, json_string("Disconnected"));
	if (peer->remote)
		vnet_recompile(p, peer->remote);
}

/* Of the have side: those that want no longer has. */
static void
gone_disconnect(struct arm_plan *p)
{
	struct vnet_peer *v;

	for (size_t i = 0, n = p->have ? vnet_peers(p->s, p->have, &v) : 0; i < n; i++)
		if (!p->want ||
		    !arm_child(p->want->body, PEERINGS, arm_str(v[i].peering, "name", ""))) {
			disconnect(p, &v[i]);
			vnet_recompile(p, p->have);
		}
}

static int
peering_settle(struct arm_plan *p, json_t *mine)
{
	const char *name = arm_str(mine, "name", "");
	const char *id = arena_printf(p->s->arena, "%s/%s/%s", p->want->id, PEERINGS, name);
	const json_t *before = p->have ? arm_child(p->have->body, PEERINGS, name) : NULL;
	struct vnet_peer peer = peer_of(p->s, p->want, mine);

	if (before && json_equal(before, mine) && !(p->child_id && arm_id_equal(p->child_id, id)))
		return 0;
	int r = remote_check(p, id, &peer);

	if (r == 0)
		r = gateway_flags_check(p, id, &peer);
	if (r < 0)
		return r;
	state_settle(p, mine, &peer, !before);
	peer = peer_of(p->s, p->want, mine);
	r = vnet_peer_uses_gateway(&peer) ? vnet_reach_check(p, p->want) : 0;
	if (r == 0 && vnet_peer_lends_gateway(&peer))
		r = vnet_reach_check(p, peer.remote);
	vnet_recompile(p, p->want);
	vnet_recompile(p, peer.remote);
	return r;
}

static bool
space_is_new(const struct arm_plan *p)
{
	return p->have && !json_equal(arm_at(p->have->body, "properties.addressSpace"),
				      arm_at(p->want->body, "properties.addressSpace"));
}

int
vnet_peerings_plan(struct arm_plan *p)
{
	struct vnet_peer *v;
	json_t *one;
	size_t i, n;
	int r = 0;

	gone_disconnect(p);
	if (!p->want)
		return 0;
	json_array_foreach(collection_of(p->want->body, PEERINGS), i, one) {
		r = peering_settle(p, one);
		if (r < 0)
			return r;
	}
	/* A new address space beside the peers of both sides. */
	n = space_is_new(p) ? vnet_peers(p->s, p->want, &v) : 0;
	for (i = 0; i < n; i++) {
		const char *text = v[i].remote ? overlap_text(p->s, p->want, v[i].remote) : NULL;

		if (text)
			return arm_refuse_at(p->s->error, 400,
					     "VnetAddressSpaceOverlapsWithAlreadyPeeredVnet",
					     "properties.addressSpace",
					     "The address space overlaps that of the peered "
					     "virtual network %s: %s.",
					     v[i].remote->id, text);
		r = v[i].reverse ? peers_overlap_check(p, v[i].remote, p->want) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- reading ---- */

static bool
knows_space(const json_t *peering, const json_t *space)
{
	return json_equal(arm_at(peering, "properties.remoteAddressSpace"), space);
}

void
vnet_peerings_view(struct arm_snapshot *s, const struct arm_resource *vnet, json_t *out)
{
	const json_t *own = arm_at(vnet->body, "properties.addressSpace");
	json_t *shown;
	size_t i;

	json_array_foreach(collection_of(out, PEERINGS), i, shown) {
		struct vnet_peer peer = peer_of(s, vnet, shown);
		const json_t *theirs =
			peer.remote ? arm_at(peer.remote->body, "properties.addressSpace") : NULL;
		bool local = !peer.reverse || knows_space(peer.reverse, own);
		bool remote = !theirs || knows_space(shown, theirs);

		arm_set(shown, "properties.localAddressSpace",
			json_deep_copy(
				peer.reverse ? arm_at(peer.reverse, "properties.remoteAddressSpace")
					     : own));
		arm_set(shown, "properties.localVirtualNetworkAddressSpace", json_deep_copy(own));
		if (theirs)
			arm_set(shown, "properties.remoteVirtualNetworkAddressSpace",
				json_deep_copy(theirs));
		arm_set(shown, "properties.peeringSyncLevel",
			json_string(local && remote ? "FullyInSync"
				    : local         ? "RemoteNotInSync"
				    : remote        ? "LocalNotInSync"
						    : "LocalAndRemoteNotInSync"));
	}
}

/* clang-format off */
static const struct arm_prop vnet_peering_props[] = {
	{ .name = "remoteVirtualNetwork", .kind = ARM_REF, .flags = ARM_REQUIRED | ARM_FIXED | ARM_LOOSE,
	  .ref_type = "Microsoft.Network/virtualNetworks", .join = "Microsoft.Network/virtualNetworks/peer/action" },
	{ .name = "allowVirtualNetworkAccess", .kind = ARM_BOOL, .def = "true" },
	{ .name = "allowForwardedTraffic", .kind = ARM_BOOL, .def = "false" },
	{ .name = "allowGatewayTransit", .kind = ARM_BOOL, .def = "false" },
	{ .name = "useRemoteGateways", .kind = ARM_BOOL, .def = "false" },
	{ .name = "doNotVerifyRemoteGateways", .kind = ARM_BOOL, .def = "false" },
	{ .name = "peerCompleteVnets", .kind = ARM_BOOL, .def = "true" },
	{ .name = "enableOnlyIPv6Peering", .kind = ARM_BOOL, .def = "false" },
	{ .name = "localSubnetNames", .kind = ARM_LIST, .item = ARM_STRING, .max = 3000 },
	{ .name = "remoteSubnetNames", .kind = ARM_LIST, .item = ARM_STRING, .max = 3000 },
	{ .name = "localAddressSpace", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "localVirtualNetworkAddressSpace", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "remoteAddressSpace", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "remoteVirtualNetworkAddressSpace", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "remoteBgpCommunities", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "remoteVirtualNetworkEncryption", .kind = ARM_ANY, .flags = ARM_READ_ONLY },
	{ .name = "peeringState", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "peeringSyncLevel", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ .name = "resourceGuid", .kind = ARM_STRING, .flags = ARM_READ_ONLY },
	{ 0 },
};
/* clang-format on */

const struct arm_type vnet_peering_type = {
	.ns = "Microsoft.Network",
	.name = PEERINGS,
	.props = vnet_peering_props,
};
