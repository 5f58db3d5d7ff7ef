/* Node objects: what a node (edge or host) is told to be. One parser reads them from the
 * controller's poll answer, from the disk cache and from a static config file.
 *
 *   { "kind": "domain", "key": "contoso/private", "rev": 17, "body": { ... } }
 *   { "kind": "domain", "key": "contoso/private", "rev": 18, "deleted": true }
 *
 * The key names the object within its kind on this node; bodies refer to one another by key (port,
 * circuit) or by fabric number (domains, VNets). rev grows with every change and is reported back.
 * Parsing is strict: types, ranges and unknown keys are errors that name object, field and rule.
 * Route targets are not configured: the RT of a domain or VNet is rt_make(fabricAs, number), the
 * RD rd_make(fabricAs, node number, number), everywhere.
 *
 * Bodies (! = required; the rest shows the default; who = which nodes get it):
 *
 *   node        edge, host; exactly one, key = the node's name
 *     role !            "edge" | "host"
 *     number !          1..4094, unique in the fabric
 *     underlay !        "10.255.0.1"          tunnel end point and fabric BGP address
 *     fabricAs          12076                 1..65535: iBGP, RD, RT
 *     customerAs        = fabricAs            the AS customers see
 *     fabricDev         "fabric0"
 *     fabricMinTtl      250                   least TTL on fabric BGP sessions (RFC 5082): 255 less the
 *                                             underlay's hops at most; 0 = not checked
 *     vswitchMac        "02:77:6c:00:00:01"   host: the MAC that answers for every subnet
 *
 *   fabricPeer  another node; key = that node's name
 *     role !            "edge" | "host"
 *     number !, underlay !
 *     md5               none                  secret, at most 80 characters
 *     pair              false                 edge: the other edge of this pair
 *     client            false                 edge: reflect to it
 *     bfd               { "minTxMs": 300, "minRxMs": 300, "multiplier": 3 }; null = none
 *
 *   port        edge; key = its name
 *     dev !             "trunk0"
 *     index             1                     1..15, unique on the edge, stable over its life
 *     encapsulation     "qinq"
 *
 *   circuit     edge; key = any id (the controller: the service key)
 *     port !            key of a port
 *     sTag !            1..4094
 *     bandwidthMbps !   1..400000
 *     enabled           true                  false: not (or no longer) provisioned; drops all
 *     resourceId        ""                    for logs and readings
 *
 *   domain      edge: one peering, one routing domain
 *     number !          1..1048575, shared space of domains and VNets
 *     generation        0                     0..2047, part of the GRE key
 *     circuit !         key of a circuit
 *     peeringType !     "private" | "public" | "microsoft"
 *     cTag !            1..4094, unique in the circuit
 *     localAddress !    "172.16.0.2/30"       ours, with the link's length
 *     peerAddress !     "172.16.0.1"
 *     peerAs !          1..4294967295
 *     md5               none                  secret, at most 80 characters
 *     holdTime          180                   3..65535 seconds, offered
 *     bfd               as fabricPeer
 *     maxPrefixes       4000                  0 = no limit
 *     vnets             []                    numbers of linked VNets: import and announce
 *     reach             []                    numbers of linked domains (Global Reach): import
 *     enabled           true                  false: session down, domain empty
 *     resourceId        ""
 *
 *   vnet        host: it carries NICs of it; edge: a domain here is linked to it
 *     number !, generation 0
 *     addressPrefixes ! ["10.1.0.0/16"]       announced to linked customers
 *     subnets           [ { "name": "default", "prefix": "10.1.0.0/24" } ]   default []
 *     connections       [ { "domain": 17, "routingWeight": 0 } ]             host; default []
 *     resourceId        ""
 *
 *   nic         host: its own; edge: every NIC of the VNets it knows (what a host may announce)
 *     vnet !            number of a vnet
 *     addresses !       [ "10.1.0.4" ]        inside the vnet's prefixes
 *     mac !             "02:00:0a:01:00:04"
 *     node !            name of the host it lives on
 *     device            none                  host: bind to this device at once
 *     resourceId        ""
 */
#pragma once

#include "base/arena.h"
#include "net/addr.h"
#include "net/ids.h"

struct json_t; /* jansson */

enum node_kind {
	NODE_SELF, /* "node" */
	NODE_FABRIC_PEER,
	NODE_PORT,
	NODE_CIRCUIT,
	NODE_DOMAIN,
	NODE_VNET,
	NODE_NIC,
	NODE_KINDS
};
/* "node", "fabricPeer", ... */
const char *node_kind_name(enum node_kind k);

enum node_role { NODE_EDGE, NODE_HOST };
enum node_peering { NODE_PRIVATE, NODE_PUBLIC, NODE_MICROSOFT };
const char *node_peering_name(enum node_peering p); /* "private", ... */

enum {
	NODE_MD5_MAX = 80,          /* TCP_MD5SIG_MAXKEYLEN */
	NODE_DEV_MAX = 15,          /* IFNAMSIZ - 1 */
	NODE_KEY_MAX = 255,         /* bytes of a key */
	NODE_LIST_MAX = 4096,       /* elements of any list in a body */
	NODE_OBJECT_BYTES = 1 << 20 /* of one object's JSON */
};

struct node_bfd {
	bool enabled;
	uint16_t min_tx_ms, min_rx_ms; /* 10..60000 */
	uint8_t multiplier;            /* 1..50 */
};

struct node_self {
	enum node_role role;
	uint16_t number;
	struct addr underlay;
	uint16_t fabric_as;
	struct asn customer_as;
	char fabric_dev[NODE_DEV_MAX + 1];
	uint8_t fabric_min_ttl;
	struct mac vswitch_mac;
};

struct node_fabric_peer {
	enum node_role role;
	uint16_t number;
	struct addr underlay;
	char md5[NODE_MD5_MAX + 1]; /* "" = none */
	bool is_pair, is_client;
	struct node_bfd bfd;
};

struct node_port {
	char dev[NODE_DEV_MAX + 1];
	uint8_t index;
};

struct node_circuit {
	const char *port;
	struct vlan s_tag;
	uint32_t bandwidth_mbps;
	bool is_enabled;
	const char *resource_id; /* "" if none; so below */
};

struct node_domain {
	struct fabric_number number;
	uint16_t generation;
	const char *circuit;
	enum node_peering peering;
	struct vlan c_tag;
	struct addr local, peer;
	uint8_t link_len; /* prefix length of the link subnet */
	struct asn peer_as;
	char md5[NODE_MD5_MAX + 1];
	uint16_t hold_time;
	struct node_bfd bfd;
	uint32_t max_prefixes;
	struct fabric_number *vnets, *reach;
	unsigned n_vnets, n_reach;
	bool is_enabled;
	const char *resource_id;
};

struct node_subnet {
	const char *name;
	struct prefix prefix;
};
struct node_connection {
	struct fabric_number domain;
	uint32_t routing_weight; /* 0..32000, higher wins */
};
struct node_vnet {
	struct fabric_number number;
	uint16_t generation;
	struct prefix *prefixes;
	unsigned n_prefixes;
	struct node_subnet *subnets;
	unsigned n_subnets;
	struct node_connection *connections;
	unsigned n_connections;
	const char *resource_id;
};

struct node_nic {
	struct fabric_number vnet;
	struct addr *addresses;
	unsigned n_addresses;
	struct mac mac;
	const char *node;
	char device[NODE_DEV_MAX + 1]; /* "" = bound later by hand */
	const char *resource_id;
};

/* One object; everything it points to lives in its arena. Immutable once parsed. */
struct node_object {
	enum node_kind kind;
	bool is_deleted; /* then body is empty */
	uint64_t rev;
	const char *key;
	union {
		struct node_self self;
		struct node_fabric_peer fabric_peer;
		struct node_port port;
		struct node_circuit circuit;
		struct node_domain domain;
		struct node_vnet vnet;
		struct node_nic nic;
	};
	struct arena arena;
	unsigned refs; /* of the configs that hold it */
};

/* Text (json: n bytes, need not end in NUL) or an already decoded value (borrowed). */
int node_object_parse(const char *json, size_t n, struct node_object **ret, struct err *e);
int node_object_from_json(const struct json_t *v, struct node_object **ret, struct err *e);
/* One reference less; the last one wipes secrets and frees. NULL is fine. */
void node_object_destroy(struct node_object *o);
struct node_object *node_object_ref(const struct node_object *o);
CLEANUP(node_object)
/* The canonical JSON, with secrets and defaults written out: parse(encode(x)) equals x. The
 * caller frees it with json_decref(). */
struct json_t *node_object_encode(const struct node_object *o);
/* Same content; rev is not compared. */
bool node_object_equal(const struct node_object *a, const struct node_object *b);

/* ---- A node's whole config: objects by (kind, key) ---- */

struct node_config;
struct node_config *node_config_create(void);
void node_config_destroy(struct node_config *c); /* destroys its objects */
CLEANUP(node_config)
/* Shares the objects. */
struct node_config *node_config_copy(const struct node_config *c);
/* Takes o; replaces or, if o is deleted, removes. */
void node_config_put(struct node_config *c, struct node_object *o);
void node_config_remove(struct node_config *c, enum node_kind k, const char *key);
const struct node_object *node_config_get(const struct node_config *c, enum node_kind k,
					  const char *key);
/* NULL without one. */
const struct node_self *node_config_self(const struct node_config *c);
size_t node_config_count(const struct node_config *c, enum node_kind k);
/* By kind in the order of enum node_kind, then by key: a fixed order for everybody. */
struct node_config_iter {
	size_t at;
};
const struct node_object *node_config_next(const struct node_config *c,
					   struct node_config_iter *it);

/* The rules between objects: references exist, numbers and VLANs are unique, NIC addresses lie in
 * their VNet. Calls bad() for each object that breaks one (those are left out by the node and
 * reported); returns how many. */
unsigned node_config_check(const struct node_config *c,
			   void (*bad)(void *arg, const struct node_object *o, const struct err *e),
			   void *arg);

/* What changed from a to b, as (old, new) pairs; NULL = absent. Equal revisions other than 0 are
 * taken for equal content. Order: removals against the order
 * of kinds, then additions and changes along it, so that referenced objects exist first and go
 * last. */
void node_config_diff(const struct node_config *a, const struct node_config *b,
		      void (*change)(void *arg, const struct node_object *from,
				     const struct node_object *to),
		      void *arg);

/* A JSON document {"objects": [...]} (extra: other members, borrowed by callers that know them). */
int node_config_from_json(const struct json_t *doc, struct node_config **ret, struct err *e);
struct json_t *node_config_encode(const struct node_config *c);

/* ---- YAML (config files): any YAML 1.2 document to JSON values. Scalars become numbers,
 * booleans or null when they are plain and look like it, else strings. Anchors, aliases, tags and
 * documents beyond the first are refused. ---- */
struct json_t *node_yaml_load(const char *text, size_t n, struct err *e);
