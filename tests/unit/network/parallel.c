/* Rules under parallel writers: two controllers on one store, many threads each, all after the same
 * thing at once. Whatever the order, never one over: exactly as many succeed as the rule allows, and
 * the others are refused in its words. */
#include "../test.h"

#include "arm/engine.h"
#include "network/network.h"

#include <dirent.h>
#include <pthread.h>

enum { N_CONTROLLERS = 2, N_SUBS = 24, N_THREADS = 24 };

#define SUB "/subscriptions/20000000-0000-0000-0000-0000000000%02u"
#define NETWORK SUB "/resourceGroups/rg/providers/Microsoft.Network"
#define FABRIC \
	"/subscriptions/20000000-0000-0000-0000-000000000000/resourceGroups/fabric/providers/" \
	"Wayleave.Fabric"

static const char *catalogue_dir;

static struct world {
	char dir[64];
	struct controller {
		struct store *store;
		struct network *network;
		struct arm_engine *engine;
	} at[N_CONTROLLERS];
} world;

static int
authenticate(void *ctx, struct arena *a, const char *authorization, int64_t now_us,
	     struct arm_caller *ret, struct arm_error *e)
{
	*ret = (struct arm_caller){ .oid = "owner", .app_id = "", .tenant = "tenant", .name = "o" };
	return 0;
}

static bool
may(void *ctx, struct store_tx *tx, struct arena *a, const struct arm_caller *c, const char *action,
    const char *scope)
{
	return true;
}

static bool
sees(void *ctx, struct store_tx *tx, struct arena *a, const struct arm_caller *c, const char *sub)
{
	return true;
}

/* ---- requests ---- */

struct reply {
	int status;
	char code[64];
	char text[160]; /* of what was asked for, or the message */
};

struct wait {
	struct reply *reply;
	const char *field;
};

static void
answered(void *arg, struct arm_response *resp)
{
	struct wait *w = arg;
	const char *path = resp->status < 300 ? w->field : "error.message";

	const json_t *v = path ? arm_at(resp->body, path) : NULL;

	w->reply->status = resp->status;
	snprintf(w->reply->code, sizeof(w->reply->code), "%s",
		 arm_str(resp->body, "error.code", ""));
	if (json_is_integer(v))
		snprintf(w->reply->text, sizeof(w->reply->text), "%lld",
			 (long long)json_integer_value(v));
	else
		snprintf(w->reply->text, sizeof(w->reply->text), "%s",
			 json_is_string(v) ? json_string_value(v) : "");
	arm_response_fini(resp);
}

/* A busy store says 503: the client asks again. */
static struct reply
ask(unsigned controller, enum arm_method method, const char *path, const char *body,
    const char *field)
{
	struct reply reply;

	do {
		struct arena a = { 0 };
		struct wait w = { &reply, field };
		struct arm_request req = {
			.arena = &a,
			.method = method,
			.path = path,
			.query = "api-version=2026-01-01",
			.body = body,
			.body_len = strlen(body),
			.authorization = "",
			.remote = "test",
		};

		reply = (struct reply){ 0 };
		arm_handle(world.at[controller].engine, &req, answered, &w);
		arena_reset(&a);
		assert_int_not_equal(reply.status, 0);
	} while (reply.status == 503 || reply.status == 429);
	return reply;
}

static void put(const char *path, const char *fmt, ...) PRINTF(2, 3);
static void
put(const char *path, const char *fmt, ...)
{
	char body[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(body, sizeof(body), fmt, ap);
	va_end(ap);
	struct reply r = ask(0, ARM_PUT, path, body, NULL);

	if (r.status >= 300)
		fail_msg("%s: %d %s %s", path, r.status, r.code, r.text);
}

/* ---- many at once ---- */

struct job {
	unsigned controller;
	char path[320], body[900];
	struct reply reply;
	pthread_t thread;
	pthread_barrier_t *start;
};

static void *
job_run(void *arg)
{
	struct job *j = arg;

	pthread_barrier_wait(j->start);
	j->reply = ask(j->controller, ARM_PUT, j->path, j->body, NULL);
	return NULL;
}

/* Runs all jobs at the same time, spread over the controllers. Every one that does not succeed has
 * this code. Returns how many succeeded. */
static unsigned
run_all(struct job *jobs, unsigned n, const char *code)
{
	pthread_barrier_t start;
	unsigned n_good = 0;

	pthread_barrier_init(&start, NULL, n);
	for (unsigned i = 0; i < n; i++) {
		jobs[i].controller = i % N_CONTROLLERS;
		jobs[i].start = &start;
		assert_int_equal(pthread_create(&jobs[i].thread, NULL, job_run, &jobs[i]), 0);
	}
	for (unsigned i = 0; i < n; i++)
		pthread_join(jobs[i].thread, NULL);
	pthread_barrier_destroy(&start);
	for (unsigned i = 0; i < n; i++) {
		n_good += jobs[i].reply.status < 300;
		if (jobs[i].reply.status >= 300 && strcmp(jobs[i].reply.code, code) != 0)
			fail_msg("%s: %d %s: %s", jobs[i].path, jobs[i].reply.status,
				 jobs[i].reply.code, jobs[i].reply.text);
	}
	return n_good;
}

#define CIRCUIT_BODY \
	"{\"location\":\"westeurope\",\"sku\":{\"tier\":\"Standard\",\"family\":\"MeteredData\"}," \
	"\"properties\":{\"serviceProviderProperties\":{\"serviceProviderName\":\"%s\"," \
	"\"peeringLocation\":\"%s\",\"bandwidthInMbps\":%u}}}"
#define PEERING_BODY \
	"{\"properties\":{\"peerASN\":65001,\"vlanId\":%u,\"primaryPeerAddressPrefix\":\"172.%u.%u." \
	"0/30\",\"secondaryPeerAddressPrefix\":\"172.%u.%u.4/30\"}}"
#define CONNECTION_BODY \
	"{\"location\":\"westeurope\",\"properties\":{\"connectionType\":\"ExpressRoute\"," \
	"\"virtualNetworkGateway1\":{\"id\":\"" NETWORK \
	"/virtualNetworkGateways/g%u\"},\"peer\":{" \
	"\"id\":\"" NETWORK "/expressRouteCircuits/%s\"}%s}}"

/* ---- the world ---- */

static int
put_subscriptions(struct store_tx *tx, void *arg, struct err *e)
{
	for (unsigned i = 0; i < N_SUBS; i++) {
		char id[64];

		snprintf(id, sizeof(id), SUB, i);
		struct store_subscription s = { id + strlen("/subscriptions/"), "tenant", "s",
						"Enabled" };
		int r = store_subscription_put(tx, &s, e);

		if (r < 0)
			return r;
	}
	return 0;
}

static void
controller_open(struct controller *c)
{
	struct err e = { 0 };
	char path[96], key[96];

	snprintf(path, sizeof(path), "%s/store.db", world.dir);
	snprintf(key, sizeof(key), "%s/master", world.dir);
	struct store_config cfg = { .path = path, .master_key = key, .n_readers = 1 };

	if (store_open(&cfg, &c->store, &e) < 0 ||
	    network_open(catalogue_dir, &c->network, &e) < 0 ||
	    store_write(c->store, put_subscriptions, NULL, &e) < 0)
		fail_msg("%s", e.text);
	struct arm_config ac = {
		.store = c->store,
		.auth = { NULL, authenticate, may, sees },
		.base_url = "https://localhost:8443",
		.providers = network_providers,
		.locations = network_locations,
		.ctx = c->network,
	};

	if (arm_engine_create(&ac, &c->engine, &e) < 0 ||
	    network_start(c->network, c->engine, &e) < 0)
		fail_msg("%s", e.text);
}

static void
trunk_put(const char *pair, const char *place, unsigned first, const char *provider, unsigned mbps)
{
	char path[320], location[320];

	snprintf(location, sizeof(location), FABRIC "/locations/%s", pair);
	put(location, "{\"location\":\"westeurope\",\"properties\":{\"peeringLocation\":\"%s\"}}",
	    place);
	snprintf(path, sizeof(path), FABRIC "/edgePairs/%s", pair);
	put(path,
	    "{\"location\":\"westeurope\",\"properties\":{\"peeringLocation\":\"%s\",\"edges\":["
	    "{\"name\":\"%s-1\",\"underlayAddress\":\"10.255.0.%u\"},{\"name\":\"%s-2\","
	    "\"underlayAddress\":\"10.255.0.%u\"}]}}",
	    place, pair, first, pair, first + 1);
	snprintf(path, sizeof(path), FABRIC "/ports/trunk-%s", pair);
	put(path,
	    "{\"location\":\"westeurope\",\"properties\":{\"edgePair\":{\"id\":\"" FABRIC
	    "/edgePairs/%s\"},\"serviceProviderName\":\"%s\",\"primaryInterface\":\"t0\","
	    "\"secondaryInterface\":\"t0\",\"bandwidthInMbps\":%u,\"overprovisionFactor\":2}}",
	    pair, provider, mbps);
}

static void
fabric_put(void)
{
	char path[320];

	snprintf(path, sizeof(path), SUB "/resourceGroups/fabric", 0u);
	put(path, "{\"location\":\"westeurope\"}");
	put(FABRIC "/providers/equinix",
	    "{\"location\":\"westeurope\",\"properties\":{\"serviceProviderName\":\"Equinix\","
	    "\"subscriptionId\":\"20000000-0000-0000-0000-000000000000\"}}");
	trunk_put("ams", "Amsterdam", 1, "Equinix", 1000);
	trunk_put("dub", "Dublin", 3, "Equinix", 100000);
	trunk_put("lon", "London", 5, "Equinix", 100000);
	put(FABRIC "/ports/direct",
	    "{\"location\":\"westeurope\",\"properties\":{\"edgePair\":{\"id\":\"" FABRIC
	    "/edgePairs/ams\"},\"primaryInterface\":\"d0\",\"secondaryInterface\":\"d0\","
	    "\"bandwidthInMbps\":10000}}");
	for (unsigned i = 1; i < N_SUBS; i++) {
		snprintf(path, sizeof(path), SUB "/resourceGroups/rg", i);
		put(path, "{\"location\":\"westeurope\"}");
	}
}

static int
open_world(void **state)
{
	snprintf(world.dir, sizeof(world.dir), "/tmp/network-parallel-XXXXXX");
	assert_non_null(mkdtemp(world.dir));
	for (size_t i = 0; i < N_CONTROLLERS; i++)
		controller_open(&world.at[i]);
	fabric_put();
	return 0;
}

static int
close_world(void **state)
{
	DIR *d = opendir(world.dir);
	struct dirent *f;
	char path[400];

	for (size_t i = 0; i < N_CONTROLLERS; i++) {
		arm_engine_destroy(world.at[i].engine);
		network_destroy(world.at[i].network);
		store_destroy(world.at[i].store);
	}
	while (d && (f = readdir(d)))
		if (f->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s", world.dir, f->d_name);
			unlink(path);
		}
	if (d)
		closedir(d);
	rmdir(world.dir);
	return 0;
}

/* A provisioned circuit with private peering in a subscription. */
static void
circuit_put(unsigned sub, const char *name, const char *place, unsigned net)
{
	char path[320], xc[320];

	snprintf(path, sizeof(path), NETWORK "/expressRouteCircuits/%s", sub, name);
	put(path, CIRCUIT_BODY, "Equinix", place, 200u);
	struct reply r = ask(0, ARM_GET, path, "", "properties.serviceKey");

	snprintf(xc, sizeof(xc),
		 SUB "/resourceGroups/CrossConnection-%s/providers/Microsoft.Network/"
		     "expressRouteCrossConnections/%s",
		 0u, place, r.text);
	put(xc, "{\"properties\":{\"serviceProviderProvisioningState\":\"Provisioned\"}}");
	snprintf(path, sizeof(path),
		 NETWORK "/expressRouteCircuits/%s/peerings/AzurePrivatePeering", sub, name);
	put(path, PEERING_BODY, 100u, 16u, net, 16u, net);
}

static void
gateway_put(unsigned sub, unsigned i, unsigned net)
{
	char path[320];

	snprintf(path, sizeof(path), NETWORK "/virtualNetworks/v%u", sub, i);
	put(path,
	    "{\"location\":\"westeurope\",\"properties\":{\"addressSpace\":{\"addressPrefixes\":["
	    "\"10.%u.0.0/16\"]},\"subnets\":[{\"name\":\"GatewaySubnet\",\"properties\":{"
	    "\"addressPrefix\":\"10.%u.255.0/27\"}}]}}",
	    net, net);
	snprintf(path, sizeof(path), NETWORK "/virtualNetworkGateways/g%u", sub, i);
	put(path,
	    "{\"location\":\"westeurope\",\"properties\":{\"gatewayType\":\"ExpressRoute\",\"sku\":"
	    "{\"name\":\"Standard\"},\"ipConfigurations\":[{\"name\":\"c\",\"properties\":{"
	    "\"subnet\":{\"id\":\"" NETWORK "/virtualNetworks/v%u/subnets/GatewaySubnet\"}}}]}}",
	    sub, i);
}

/* ---- the rules ---- */

static void
a_port_pair_is_never_overbooked(void **state)
{
	struct job jobs[N_THREADS] = { 0 };

	/* 1000 Mbps, twice: ten circuits of 200 */
	for (unsigned i = 0; i < N_THREADS; i++) {
		snprintf(jobs[i].path, sizeof(jobs[i].path), NETWORK "/expressRouteCircuits/p%u",
			 1 + i % (N_SUBS - 1), i);
		snprintf(jobs[i].body, sizeof(jobs[i].body), CIRCUIT_BODY, "Equinix", "Amsterdam",
			 200u);
	}
	assert_int_equal(run_all(jobs, N_THREADS, "InsufficientPortCapacity"), 10);
	bool is_taken[4096] = { false };

	for (unsigned i = 0; i < N_THREADS; i++) {
		if (jobs[i].reply.status >= 300)
			continue;
		struct reply r =
			ask(i % N_CONTROLLERS, ARM_GET, jobs[i].path, "", "properties.stag");
		unsigned stag = (unsigned)strtoul(r.text, NULL, 10);

		assert_in_range(stag, 2, 4094);
		assert_false(is_taken[stag]);
		is_taken[stag] = true;
	}
}

static void
a_subscription_has_ten_circuits_in_a_region(void **state)
{
	struct job jobs[N_THREADS] = { 0 };

	for (unsigned i = 0; i < N_THREADS; i++) {
		snprintf(jobs[i].path, sizeof(jobs[i].path), NETWORK "/expressRouteCircuits/q%u",
			 23u, i);
		snprintf(jobs[i].body, sizeof(jobs[i].body), CIRCUIT_BODY, "Equinix", "Dublin",
			 50u);
	}
	unsigned before = 0;

	for (unsigned i = 0; i < N_THREADS; i++) { /* of the case above */
		char path[320];

		snprintf(path, sizeof(path), NETWORK "/expressRouteCircuits/p%u", 23u, i);
		before += ask(0, ARM_GET, path, "", NULL).status == 200;
	}
	assert_int_equal(run_all(jobs, N_THREADS, "CircuitLimitReached") + before, 10);
}

static void
a_standard_circuit_has_ten_links(void **state)
{
	struct job jobs[N_THREADS] = { 0 };

	circuit_put(1, "links", "Dublin", 1);
	for (unsigned i = 0; i < N_THREADS; i++) {
		gateway_put(1, i, 10 + i);
		snprintf(jobs[i].path, sizeof(jobs[i].path), NETWORK "/connections/l%u", 1u, i);
		snprintf(jobs[i].body, sizeof(jobs[i].body), CONNECTION_BODY, 1u, i, 1u, "links",
			 "");
	}
	assert_int_equal(run_all(jobs, N_THREADS, "CircuitLinkLimitReached"), 10);
}

static void
an_authorization_is_redeemed_once(void **state)
{
	struct job jobs[N_THREADS] = { 0 };
	char path[320], key[200];

	circuit_put(2, "shared", "Dublin", 2);
	snprintf(path, sizeof(path), NETWORK "/expressRouteCircuits/shared/authorizations/a", 2u);
	put(path, "{}");
	struct reply r = ask(1, ARM_GET, path, "", "properties.authorizationKey");

	snprintf(key, sizeof(key), ",\"authorizationKey\":\"%s\"", r.text);
	for (unsigned i = 0; i < N_THREADS; i++) {
		gateway_put(3, i, 100 + i);
		snprintf(jobs[i].path, sizeof(jobs[i].path), NETWORK "/connections/a%u", 3u, i);
		snprintf(jobs[i].body, sizeof(jobs[i].body), CONNECTION_BODY, 3u, i, 2u, "shared",
			 key);
	}
	assert_int_equal(run_all(jobs, N_THREADS, "AuthorizationKeyInUse"), 1);
}

static void
a_circuit_has_ten_authorizations(void **state)
{
	struct job jobs[N_THREADS] = { 0 };

	circuit_put(4, "auth", "Dublin", 3);
	for (unsigned i = 0; i < N_THREADS; i++) {
		snprintf(jobs[i].path, sizeof(jobs[i].path),
			 NETWORK "/expressRouteCircuits/auth/authorizations/a%u", 4u, i);
		snprintf(jobs[i].body, sizeof(jobs[i].body), "{}");
	}
	assert_int_equal(run_all(jobs, N_THREADS, "AuthorizationLimitReached"), 10);
}

static void
overlapping_networks_never_share_a_circuit(void **state)
{
	struct job jobs[N_THREADS] = { 0 };

	circuit_put(5, "overlap", "Dublin", 4);
	for (unsigned i = 0; i < N_THREADS; i++) {
		gateway_put(5, i, 200 + i % 3); /* three address spaces, each many times */
		snprintf(jobs[i].path, sizeof(jobs[i].path), NETWORK "/connections/o%u", 5u, i);
		snprintf(jobs[i].body, sizeof(jobs[i].body), CONNECTION_BODY, 5u, i, 5u, "overlap",
			 "");
	}
	assert_int_equal(run_all(jobs, N_THREADS, "VnetAddressSpacesOverlap"), 3);
}

#define REACH_BODY \
	"{\"properties\":{\"peerExpressRouteCircuitPeering\":{\"id\":\"" NETWORK \
	"/expressRouteCircuits/%s/peerings/AzurePrivatePeering\"},\"addressPrefix\":\"192.168.%u.0/" \
	"29\"}}"

static void
two_circuits_are_joined_once(void **state)
{
	static const char *const end[] = { "ra", "rb" };
	struct job jobs[N_THREADS] = { 0 };

	circuit_put(6, "ra", "Dublin", 5);
	circuit_put(6, "rb", "London", 6);
	for (unsigned i = 0; i < N_THREADS; i++) { /* from both sides */
		snprintf(jobs[i].path, sizeof(jobs[i].path),
			 NETWORK "/expressRouteCircuits/%s/peerings/AzurePrivatePeering/"
				 "connections/c%u",
			 6u, end[i % 2], i);
		snprintf(jobs[i].body, sizeof(jobs[i].body), REACH_BODY, 6u, end[!(i % 2)], i);
	}
	assert_int_equal(run_all(jobs, N_THREADS, "ConnectionAlreadyExists"), 1);
}

static void
global_reach_prefixes_never_overlap(void **state)
{
	struct job jobs[8] = { 0 };
	char name[16];

	circuit_put(7, "hub", "London", 7);
	for (unsigned i = 0; i < COUNT(jobs); i++) {
		snprintf(name, sizeof(name), "s%u", i);
		circuit_put(8, name, "Dublin", 20 + i);
	}
	for (unsigned i = 0; i < COUNT(jobs); i++) {
		char path[320];

		snprintf(path, sizeof(path), NETWORK "/expressRouteCircuits/s%u/authorizations/a",
			 8u, i);
		put(path, "{}");
		struct reply r = ask(0, ARM_GET, path, "", "properties.authorizationKey");

		snprintf(jobs[i].path, sizeof(jobs[i].path),
			 NETWORK "/expressRouteCircuits/hub/peerings/AzurePrivatePeering/"
				 "connections/c%u",
			 7u, i);
		snprintf(jobs[i].body, sizeof(jobs[i].body),
			 "{\"properties\":{\"peerExpressRouteCircuitPeering\":{\"id\":\"" NETWORK
			 "/expressRouteCircuits/s%u/peerings/AzurePrivatePeering\"},"
			 "\"authorizationKey\":\"%s\",\"addressPrefix\":\"192.168.%u.0/29\"}}",
			 8u, i, r.text, i % 2); /* two prefixes, each four times */
	}
	assert_int_equal(run_all(jobs, COUNT(jobs), "InvalidGlobalReachPrefix"), 2);
}

static void
a_direct_port_pair_is_let_once_and_filled_twice(void **state)
{
	struct job jobs[N_THREADS] = { 0 };
	unsigned winner = 0;

	for (unsigned i = 0; i < N_THREADS; i++) {
		snprintf(jobs[i].path, sizeof(jobs[i].path), NETWORK "/expressRoutePorts/d%u", 9u,
			 i);
		snprintf(jobs[i].body, sizeof(jobs[i].body),
			 "{\"location\":\"westeurope\",\"properties\":{\"peeringLocation\":"
			 "\"Amsterdam\",\"bandwidthInGbps\":10,\"encapsulation\":\"Dot1Q\"}}");
	}
	assert_int_equal(run_all(jobs, N_THREADS, "InsufficientPortCapacity"), 1);
	for (unsigned i = 0; i < N_THREADS; i++)
		if (jobs[i].reply.status < 300)
			winner = i;
	/* 10 Gbps, twice: four circuits of 5 */
	for (unsigned i = 0; i < 8; i++) {
		snprintf(jobs[i].path, sizeof(jobs[i].path), NETWORK "/expressRouteCircuits/d%u",
			 9u, i);
		snprintf(jobs[i].body, sizeof(jobs[i].body),
			 "{\"location\":\"westeurope\",\"sku\":{\"tier\":\"Standard\",\"family\":"
			 "\"MeteredData\"},\"properties\":{\"expressRoutePort\":{\"id\":\"" NETWORK
			 "/expressRoutePorts/d%u\"},\"bandwidthInGbps\":5}}",
			 9u, winner);
	}
	assert_int_equal(run_all(jobs, 8, "InsufficientPortCapacity"), 4);
	/* and one VLAN is one circuit's there */
	unsigned n = 0;

	for (unsigned i = 0; i < 8; i++) {
		if (jobs[i].reply.status >= 300)
			continue;
		snprintf(jobs[n].path, sizeof(jobs[n].path),
			 NETWORK "/expressRouteCircuits/d%u/peerings/AzurePrivatePeering", 9u, i);
		snprintf(jobs[n].body, sizeof(jobs[n].body), PEERING_BODY, 300u, 17u, i, 17u, i);
		n++;
	}
	assert_int_equal(run_all(jobs, n, "VlanIdInUse"), 1);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_port_pair_is_never_overbooked),
		cmocka_unit_test(a_subscription_has_ten_circuits_in_a_region),
		cmocka_unit_test(a_standard_circuit_has_ten_links),
		cmocka_unit_test(an_authorization_is_redeemed_once),
		cmocka_unit_test(a_circuit_has_ten_authorizations),
		cmocka_unit_test(overlapping_networks_never_share_a_circuit),
		cmocka_unit_test(two_circuits_are_joined_once),
		cmocka_unit_test(global_reach_prefixes_never_overlap),
		cmocka_unit_test(a_direct_port_pair_is_let_once_and_filled_twice),
	};

	if (argc != 2)
		return 2;
	catalogue_dir = argv[1];
	return cmocka_run_group_tests(tests, open_world, close_world);
}
