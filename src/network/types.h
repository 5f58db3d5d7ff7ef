/* Inside src/network: the types, and how aggregates find one another. */
#pragma once

#include "arm/type.h"
#include "network/catalogue.h"
#include "network/rules.h"

extern const struct arm_type circuit_type, cross_connection_type, vnet_type, nic_type, gateway_type,
	connection_type, public_ip_type, nsg_type, route_table_type, local_gateway_type;
extern const struct arm_type peering_type, authorization_type, subnet_type;
extern const struct arm_type direct_port_type, port_authorization_type, global_reach_type,
	peer_connection_type, route_filter_type, route_filter_rule_type, wan_gateway_type;
extern const struct arm_type fabric_location_type, fabric_pair_type, fabric_port_type,
	fabric_provider_type, fabric_host_type, fabric_catalogue_type;
extern const struct arm_action network_reads[];

/* The version that counts inside this transaction. */
/* What a write would mean (foresee.c). */
void network_foresee(struct arm_foresight *f);
void network_foreseen(struct arena *a, json_t *report, const struct arm_answer *answers, size_t n);
/* What nodes report becomes metrics, and events of streams (metrics.c). */
extern const struct arm_metric circuit_metrics[];
int network_reported(struct arm_snapshot *s, const char *node, const json_t *before,
		     const json_t *after);
void network_sample(struct arm_snapshot *s, const char *node, const json_t *state,
		    const json_t *entries);

const struct catalogue *network_catalogue(const struct arm_snapshot *s);
/* A catalogue's row has new files: their version, digest, when and by whom. */
int fabric_catalogue_stamp(struct arm_plan *p, struct arm_resource *r, const char *digest,
			   int64_t version);
/* A new version without a request: -EINVAL for what is wrong, -EBUSY when it removes what is used. */
int fabric_catalogue_apply(struct arm_plan *p, const json_t *files, bool *ret_is_new,
			   struct err *e);

/* Names of claim spaces: what only one may have. */
#define CLAIM_FABRIC_NUMBER "fabric-number" /* domains and VNets share 20 bits */
#define CLAIM_NODE_NUMBER "node-number"     /* edges and hosts share 1..4095 */
#define CLAIM_NODE_NAME "node-name"
#define CLAIM_UNDERLAY "underlay-address"
#define CLAIM_LOCATION "fabric-location" /* peering location -> fabric location */
#define CLAIM_PROVIDER "fabric-provider" /* provider's name -> fabric provider */
#define CLAIM_PORT_NAME "port-name"
#define CLAIM_PORT_DEVICE "port-device" /* "edge-a/trunk0" */
#define CLAIM_SERVICE_KEY "service-key"
#define CLAIM_MAC "nic-mac"
#define CLAIM_GATEWAY "vnet-gateway" /* VNet -> its ExpressRoute gateway */
#define CLAIM_VPN_GATEWAY "vnet-vpn-gateway"
#define CLAIM_LINK "gateway-circuit" /* "gateway circuit" -> connection */
#define CLAIM_ATTACHMENT "nic-host"  /* NIC -> host */
#define CLAIM_DIRECT "direct-port"   /* fabric port -> the customer's direct port pair on it */
#define CLAIM_REACH "global-reach"   /* "circuit circuit" -> circuit that holds the connection */

/* Kinds of references. */
#define REF_PEER "properties.peer"
#define REF_GATEWAY "properties.virtualNetworkGateway1"
#define REF_GATEWAY_2 "properties.virtualNetworkGateway2"
#define REF_DIRECT "properties.expressRoutePort" /* circuit -> direct port pair */

/* Id (as created) of who holds a claim; NULL: nobody. */
const char *claim_holder(struct arm_snapshot *s, const char *space, const char *value);

/* ---- fabric numbers (number.c) ---- */

/* A number for a domain or a VNet, claimed for owner (NULL: the plan's aggregate), and the generation
 * under which it is used: never the one under which it was used last. Refuses when none is left. */
int fabric_number_take(struct arm_plan *p, const char *owner, uint32_t *ret,
		       uint32_t *ret_generation);
/* The next generation of a number that its owner keeps. */
int fabric_generation_next(struct arm_plan *p, uint32_t number, uint32_t *ret);

/* ---- values in bodies ---- */

json_t *json_textf(const char *fmt, ...) PRINTF(1, 2);
json_t *json_reference(const char *id); /* {"id": id} */
/* Elements of properties.<collection>; NULL (empty) when absent. */
json_t *collection_of(const json_t *body, const char *name);
bool text_equal(const char *a, const char *b); /* without case; NULL equals NULL */

/* properties.resourceGuid of the plan's aggregate, if it has none yet. */
void guid_ensure(struct arm_plan *p);

/* ---- the other side of references (reverse.c) ---- */

/* Id (as created) of the element that refers; NULL: it is going. */
const char *element_id(struct arm_snapshot *s, const struct arm_referrer *ref);
/* [{"id"}] of who refers to this by a property; a new reference. */
json_t *reverse_ids(struct arm_snapshot *s, const char *to, const char *kind);
/* The first of them; NULL: none. */
const char *reverse_one(struct arm_snapshot *s, const char *to, const char *kind);
/* Shows them at path, if there are any. */
void reverse_show(struct arm_snapshot *s, const char *to, const char *kind, json_t *out,
		  const char *path);

/* Is this the name of a service tag ("VirtualNetwork", "Storage.westeurope")? (nsg.c) */
bool service_tag_is_known(const char *text);
extern const struct arm_action nic_actions[];
int dns_name_available(struct arm_call *c);

/* ---- circuits (circuit.c, peering.c) ---- */

/* The edge of each path: 0 primary, 1 secondary; and the ports as the API names them. */
struct circuit_place {
	const struct arm_resource *port, *pair;
	const char *edge[2];
	const char *device_port[2];
};
/* false: the circuit has no place (being made). */
bool circuit_place(struct arm_snapshot *s, const struct arm_resource *circuit,
		   struct circuit_place *ret);
const struct arm_resource *circuit_cross_connection(struct arm_snapshot *s,
						    const struct arm_resource *circuit);
enum provider_state circuit_provider_state(struct arm_snapshot *s,
					   const struct arm_resource *circuit);
struct sku circuit_sku(const struct arm_resource *circuit);
uint32_t circuit_mbps(const struct arm_resource *circuit);
const char *circuit_service_key(const struct arm_resource *circuit);
/* The fabric number of a peering's domain; 0: none. */
uint32_t circuit_domain_number(const struct arm_resource *circuit, const char *peering);

/* Made on a customer's own port pair, without a provider. */
bool circuit_is_direct(const struct arm_resource *circuit);
/* The peering location's name, of either kind of circuit; "" if it is gone. */
const char *circuit_peering_location(struct arm_snapshot *s, const struct arm_resource *circuit);
/* Refuses what the provider's state does not allow (rules.h), naming the call that changes it. */
int circuit_state_check(struct arm_plan *p, const struct arm_resource *circuit,
			enum circuit_act act);
/* Bandwidth taken from (or, negative, given back to) a fabric port or a direct port pair. */
void port_use(struct arm_plan *p, const char *port, int64_t mbps);

#define PEERING_PRIVATE "AzurePrivatePeering"
#define PEERING_PUBLIC "AzurePublicPeering"
#define PEERING_MICROSOFT "MicrosoftPeering"

extern const struct arm_prop peering_props[], cross_peering_props[];
/* By which API a peering is being written. */
enum peering_writer { WRITER_CUSTOMER, WRITER_PROVIDER };
/* One peering by itself; stamps who wrote it if it differs from have. */
int peering_check(struct arm_plan *p, enum peering_writer by, const struct arm_resource *circuit,
		  json_t *have, json_t *want);
/* All peerings of a circuit together; gives numbers to new ones. circuit may be edited; before: its
 * peerings as they were, or NULL. */
int peerings_settle(struct arm_plan *p, struct arm_resource *circuit, const json_t *before);
/* IPv6 alone has no domain: edges carry none yet. */
bool peering_has_ipv4(const json_t *peering);
/* May the circuit use this side of its port pair? Always, unless it is direct and its owner has the
 * link disabled. */
bool direct_link_is_on(struct arm_snapshot *s, const struct arm_resource *circuit, unsigned side);
/* "<service key>/AzurePrivatePeering". */
const char *domain_key(struct arena *a, const struct arm_resource *circuit, const char *peering);
/* ---- the order (circuit_order.c): what is bought, and what becomes of it ---- */

int circuit_create(struct arm_plan *p);
int circuit_update(struct arm_plan *p);
int circuit_delete(struct arm_plan *p);

/* Emits circuit and domains for both edges. */
int circuit_compile(struct arm_snapshot *s, const struct arm_resource *r);
/* Writes the circuit's peerings into the cross connection, in its form. */
void cross_connection_mirror(const struct arm_resource *circuit, struct arm_resource *xc);
/* Actions below a peering, for circuits; and with the cross connection's row names. */
extern const struct arm_action circuit_peering_actions[], cross_peering_actions[];
int circuit_stats_run(struct arm_call *c);
int circuit_stats_answered(struct arm_call *c);

/* ---- reads that are no resources ---- */

int direct_locations_list(struct arm_call *c);
int direct_location_get(struct arm_call *c);
int service_communities_list(struct arm_call *c);

/* ---- authorizations (authorization.c) ---- */

/* May the plan's resource use the circuit of this id? With a key: redeems it for user (an id).
 * Without: only within the subscription and with the action join. To be asked before anything that
 * tells about the circuit: to whom it is not to join, one that is not there (circuit: NULL) is refused
 * in the same words. 0 with no circuit: he may be told so. */
int circuit_join(struct arm_plan *p, const struct arm_resource *circuit, const char *id,
		 const char *key, const char *user);
/* Redeems a key of owner's authorizations for user. */
int authorization_redeem(struct arm_plan *p, const struct arm_resource *owner, const char *key,
			 const char *user);
/* Id of the authorization that user has redeemed; NULL: none. */
const char *authorization_of_user(struct arm_snapshot *s, const struct arm_resource *owner,
				  const char *user);
/* Fills in who uses what; user_field is where the user's id is shown. */
void authorizations_view(const struct arm_resource *r, json_t *out, const char *user_field);

/* ---- Global Reach (global_reach.c): circuit - circuit ---- */

/* One end of a connection as a circuit sees it. */
struct reach {
	const char *connection; /* id of the connection */
	const char *peer;       /* id of the other circuit */
	const json_t *element;
	bool is_own; /* the connection is this circuit's child; else its mirror */
};
size_t reaches_of_circuit(struct arm_snapshot *s, const struct arm_resource *circuit,
			  struct reach **ret);
/* Takes a connection and its mirror away, by the connection's id. */
int global_reach_drop(struct arm_plan *p, const char *connection);
/* One blocker for each connection of this circuit, with the call that removes it. */
void global_reach_block(struct arm_plan *p, const struct arm_resource *circuit);
/* Numbers of the domains that a circuit's private domain imports. */
json_t *global_reach_domains(struct arm_snapshot *s, const struct arm_resource *circuit);
/* Fills in state and what is read from the other end. out: the circuit's shown body. */
void global_reach_view(struct arm_snapshot *s, const struct arm_resource *circuit, json_t *out);
/* Refuses when prefix (of field) overlaps what Global Reach of this circuit uses: the connections'
 * own prefixes and the link subnets at the other ends. */
int global_reach_overlap(struct arm_snapshot *s, const struct arm_resource *circuit,
			 const struct prefix *prefix, const char *field);

/* ---- links (link.c): circuit - connection - gateway - VNet ---- */

struct link {
	const struct arm_resource *connection, *gateway, *vnet, *circuit;
};
/* Complete links only; in the order of the connections' ids. */
size_t links_of_circuit(struct arm_snapshot *s, const struct arm_resource *circuit,
			struct link **ret);
/* VNets and Global Reach peers together, against the limit; but: fold of a connection not to count,
 * or NULL. */
size_t circuit_n_links(struct arm_snapshot *s, const struct arm_resource *circuit, const char *but);
/* A partner's circuit serves one of his customers, in as many subscriptions as that one has, by VNets
 * and by Global Reach: refuses another tenant's VNet (or tenant NULL), or a circuit that would become
 * its other end (or NULL). */
int circuit_customer_check(struct arm_plan *p, const struct arm_resource *circuit,
			   const char *tenant, const struct arm_resource *end);
size_t links_of_vnet(struct arm_snapshot *s, const struct arm_resource *vnet, struct link **ret);
/* The virtual networks that a circuit reaches: those linked, and their spokes (spoke.c). */
size_t vnets_of_circuit(struct arm_snapshot *s, const struct arm_resource *circuit,
			const struct arm_resource ***ret);
const struct arm_resource *gateway_vnet(struct arm_snapshot *s, const struct arm_resource *gw);
/* Folds of the NICs in a VNet. */
size_t vnet_nics(struct arm_snapshot *s, const char *vnet, const char ***ret);
/* What shows a link between a circuit and a VNet: circuit, VNet, the VNet's NICs. */
void link_recompile(struct arm_plan *p, const char *circuit, const char *vnet);
/* A VNet's prefixes of both families; into the snapshot's arena. */
size_t vnet_prefixes(struct arm_snapshot *s, const struct arm_resource *vnet, struct prefix **ret);
uint32_t vnet_number(const struct arm_resource *vnet);

/* ---- the fabric (fabric_*.c) ---- */

/* The fabric is the operator's: whoever owns no more than a subscription cannot write it there. */
int operator_check(struct arm_plan *p);

/* The host a NIC is attached to and the attachment's element; NULL: none. */
const struct arm_resource *nic_host(struct arm_snapshot *s, const char *nic, json_t **ret_at);
/* The edges of these circuits' pairs exchange packets from now on (delta 1), or for one connection less
 * (-1). */
void pairs_join(struct arm_plan *p, const struct arm_resource *a, const struct arm_resource *b,
		int delta);
/* "edge-a" of a pair. NULL: no such. */
const char *pair_edge(const struct arm_resource *pair, unsigned i);
const struct arm_resource *port_pair(struct arm_snapshot *s, const struct arm_resource *port);
/* The trunks of a provider at a location. */
size_t provider_ports(struct arm_snapshot *s, const char *provider, const char *location,
		      const struct arm_resource ***ret);
/* The direct port pairs (no provider's) at a location. */
size_t direct_fabric_ports(struct arm_snapshot *s, const char *location,
			   const struct arm_resource ***ret);
uint32_t port_used_mbps(const struct arm_resource *port);
uint32_t port_capacity_mbps(const struct arm_resource *port);
/* A subscription for a provider's cross connections; NULL: not registered. */
const char *provider_subscription(struct arm_snapshot *s, const char *provider);
