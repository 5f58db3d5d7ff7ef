/* Deployments through the front door, with the example provider: from PUT to outputs, over restarts,
 * as the caller, what-if, complete mode, export. */
#include "arm/internal.h"
#include "rig.h"

#define D G "/providers/Microsoft.Resources/deployments/"
#define S_D "/subscriptions/" SUB "/providers/Microsoft.Resources/deployments/"

#define TEMPLATE(params, given, resources, outputs) \
	"{\"properties\":{\"mode\":\"incremental\",\"parameters\":" given ", template:{" \
	"parameters:" params ",variables:{},resources:[" resources "],outputs:" outputs "}}}"
#define SIMPLE(resources) TEMPLATE("{}", "{}", resources, "{}")
#define A_SHELF_AND(name, more) \
	"{type:'Example.Things/shelves',apiVersion:'2020-01-01',name:'" name \
	"',location:'westeurope'" more "}"
#define A_SHELF(name) A_SHELF_AND(name, "")
#define A_BOX(name, more) \
	"{type:'Example.Things/boxes',apiVersion:'2020-01-01',name:\"" name \
	"\",location:'[resourceGroup().location]'" more "}"
#define NESTED(name, more, inner, outputs) \
	"{type:'Microsoft.Resources/deployments',apiVersion:'2021-04-01',name:'" name "'" more \
	",properties:{mode:'Incremental',expressionEvaluationOptions:{scope:'inner'}," \
	"template:{resources:[" inner "],outputs:" outputs "}}}"

static int
deploy_as(struct fixture *f, const char *who, const char *path, const char *body)
{
	return ask_as(f, (struct ask){ .who = who }, ARM_PUT, path, body);
}

/* Ticks until it is over; its state. */
static const char *
finish(struct fixture *f, const char *path)
{
	for (unsigned i = 0; i < 2000; i++) {
		arm_tick(f->en);
		ask(f, ARM_GET, path, NULL);
		const char *state = text(f, "properties.provisioningState");

		if (strcmp(state, "Running") != 0 && strcmp(state, "Accepted") != 0)
			return state;
		usleep(5000);
	}
	return "(still running)";
}

static const char *
deploy(struct fixture *f, const char *path, const char *body)
{
	int status = deploy_as(f, "w", path, body);

	if (status != 200 && status != 201)
		fail_msg("%d %s", status, text(f, "error.message"));
	return finish(f, path);
}

static json_t *
at(struct fixture *f, const char *path, size_t i)
{
	return json_array_get(arm_at(f->resp.body, path), i);
}

/* --- the plain way --------------------------------------------------------------------------------- */

static void
a_template_becomes_resources(void **state)
{
	struct fixture *f = *state;
	const char *status, *url;

	group(f);
	assert_int_equal(
		deploy_as(f, "w", D "d1",
			  TEMPLATE("{k:{type:'securestring'},n:{type:'string',defaultValue:'b1'}}",
				   "{\"k\":{\"value\":\"very secret\"}}",
				   A_BOX("[parameters('n')]",
					 ",properties:{label:null,key:\"[parameters('k')]\","
					 "size:{width:5},shelf:{id:\"[resourceId('Example.Things/"
					 "shelves','s1')]\"}},dependsOn:['s1']") "," A_SHELF("s1"),
				   "{o:{type:'object',value:\"[reference('b1')]\"}}")),
		201);
	assert_string_equal(text(f, "properties.provisioningState"), "Accepted");
	assert_string_equal(text(f, "properties.parameters.k.type"), "SecureString");
	assert_null(arm_at(f->resp.body, "properties.parameters.k.value"));
	assert_string_equal(text(f, "properties.parameters.n.value"), "b1");
	assert_string_equal(arm_str(at(f, "properties.dependencies", 0), "resourceName", ""), "b1");
	url = arena_strdup(&f->arena, header(f, "Azure-AsyncOperation"));
	assert_non_null(strstr(url, D "d1/operationStatuses/"));
	status = arena_strndup(&f->arena, url + strlen("https://h"),
			       strcspn(url, "?") - strlen("https://h"));
	assert_int_equal(ask(f, ARM_GET, status, NULL), 200);
	assert_string_equal(text(f, "status"), "Accepted");
	assert_string_equal(finish(f, D "d1"), "Succeeded");
	assert_int_equal(arm_int(f->resp.body, "properties.outputs.o.value.size.width", 0), 5);
	assert_string_equal(text(f, "properties.outputs.o.type"), "Object");
	assert_int_equal(json_array_size(arm_at(f->resp.body, "properties.outputResources")), 2);
	assert_int_equal(ask(f, ARM_GET, status, NULL), 200);
	assert_string_equal(text(f, "status"), "Succeeded");
	assert_int_equal(ask(f, ARM_GET, BOX "b1", NULL), 200);
	assert_string_equal(text(f, "properties.key"), "very secret"); /* its writer sees it */
	/* its steps, in the order in which they began */
	assert_int_equal(ask(f, ARM_GET, G "/deployments/d1/operations", NULL), 200);
	assert_int_equal(json_array_size(arm_at(f->resp.body, "value")), 2);
	assert_string_equal(
		arm_str(at(f, "value", 0), "properties.targetResource.resourceName", ""), "b1");
	assert_string_equal(arm_str(at(f, "value", 0), "properties.statusCode", ""), "Created");
	assert_int_equal(ask(f, ARM_GET, G "/deployments/d1/operations/0000000000000002", NULL),
			 200);
	assert_int_equal(ask(f, ARM_GET, G "/deployments/d1/operations/7", NULL), 404);
	/* again: nothing is new */
	assert_int_equal(deploy_as(f, "w", D "d1", SIMPLE(A_SHELF("s1"))), 200);
	assert_string_equal(finish(f, D "d1"), "Succeeded");
	assert_int_equal(ask(f, ARM_POST, D "d1/exportTemplate", NULL), 200);
	assert_int_equal(json_array_size(arm_at(f->resp.body, "template.resources")), 1);
}

static int
no_plain_secret(struct store_tx *tx, void *arg, struct err *e)
{
	struct store_deployment *rows;
	AUTO_ARENA a = { 0 };
	size_t n = 0;
	int r = store_deployment_list(tx, &a, SUB, "g1", NULL, 10, &rows, &n, e);

	for (size_t i = 0; i < n && r >= 0; i++)
		if (strstr(rows[i].body, "hidden-value"))
			fail_msg("%s", rows[i].body);
	return r < 0 ? r : (int)n;
}

/* Not even under its seal, once it is over. */
static int
nothing_left(struct store_tx *tx, void *arg, struct err *e)
{
	AUTO_ARENA a = { 0 };
	const void *text;
	size_t n;

	assert_int_equal(store_secret_get(tx, &a, arm_id_fold(&a, D "d1"), "request", &text, &n, e),
			 1);
	assert_null(strstr(text, "hidden-value"));
	assert_non_null(strstr(text, "\"template\""));
	return 0;
}

static void
secrets_stay_sealed(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *line = mem_printf("grep -q hidden-value %s/s.db*", f->dir);

	group(f);
	assert_string_equal(
		deploy(f, D "d1",
		       TEMPLATE("{k:{type:'securestring'},o:{type:'secureObject'}}",
				"{\"k\":{\"value\":\"hidden-value\"},\"o\":{\"value\":{\"a\":"
				"\"hidden-value\"}}}",
				A_BOX("b1",
				      ",properties:{key:\"[parameters('k')]\",size:{width:1}}"),
				"{s:{type:'securestring',value:\"[parameters('k')]\"}}")),
		"Succeeded");
	AUTO_FREE char *shown = json_dumps(f->resp.body, 0);

	assert_int_equal(store_read(f->s, nothing_left, NULL, NULL), 0);
	assert_null(strstr(shown, "hidden-value"));
	assert_string_equal(text(f, "properties.outputs.s.type"), "SecureString");
	assert_int_equal(store_read(f->s, no_plain_secret, NULL, NULL), 1);
	assert_int_not_equal(system(line), 0); /* nor anywhere on the disk */
}

/* --- refusals ---------------------------------------------------------------------------------------- */

static void
what_is_wrong_is_named(void **state)
{
	static const struct {
		const char *path, *body;
		int status;
		const char *code, *why;
	} rows[] = {
		{ D "d", "{}", 400, "InvalidRequestContent", "properties: must be an object" },
		{ D "d", "{\"properties\":{\"mode\":\"All\"}}", 400, "InvalidRequestContent",
		  "Incremental or Complete" },
		{ D "d", "{\"properties\":{\"mode\":\"Incremental\"}}", 400, "InvalidTemplate",
		  "properties.template: must be a template" },
		{ D "d", "{\"properties\":{\"templateLink\":{\"uri\":\"http://x\"}}}", 400,
		  "InvalidTemplate", "properties.templateLink: is not supported" },
		{ D "d", "{\"properties\":{\"template\":\"{resources:[}\"}}", 400,
		  "InvalidRequestContent", "a value is missing" },
		{ D "d", "{\"properties\":{template:{resources:[{}]}}}", 400, "InvalidTemplate",
		  "resources[0].type" },
		{ D "d",
		  SIMPLE("{type:'Example.Things/shelves',apiVersion:'2020-01-01',name:'s',location:"
			 "'westeurope',copy:{name:'l',count:801}}"),
		  400, "InvalidTemplate", "from 0 to 800" },
		{ D "a b", SIMPLE(""), 400, "InvalidDeploymentName", "'a b' is invalid" },
		{ "/subscriptions/" SUB "/resourceGroups/none/providers/Microsoft.Resources/"
		  "deployments/d",
		  SIMPLE(""), 404, "ResourceGroupNotFound", "none" },
		{ S_D "d", SIMPLE(""), 400, "LocationRequired", "location" },
		{ S_D "d",
		  "{\"location\":\"westeurope\",\"properties\":{\"mode\":\"Complete\",template:{"
		  "resources:[]}}}",
		  400, "InvalidRequestContent", "Complete is for deployments to a resource group" },
	};
	struct fixture *f = *state;

	group(f);
	for (size_t i = 0; i < COUNT(rows); i++) {
		int status = deploy_as(f, "w",
				       arena_printf(&f->arena, "%s",
						    strstr(rows[i].path, "a b") ? D "a%20b"
										: rows[i].path),
				       rows[i].body);

		if (status != rows[i].status || strcmp(code(f), rows[i].code) != 0 ||
		    !strstr(text(f, "error.message"), rows[i].why))
			fail_msg("%zu: %d %s: %s", i, status, code(f), text(f, "error.message"));
	}
	assert_int_equal(ask(f, ARM_GET, D, NULL), 200); /* nothing was stored */
	assert_int_equal(json_array_size(arm_at(f->resp.body, "value")), 0);
	assert_int_equal(ask(f, ARM_GET, D "d", NULL), 404);
	assert_string_equal(code(f), "DeploymentNotFound");
	assert_int_equal(ask(f, ARM_DELETE, D "d", NULL), 204);
	assert_int_equal(ask(f, ARM_POST, D "d", NULL), 405);
	assert_int_equal(ask(f, ARM_GET, D "d/x", NULL), 404);
	/* the rest of the API stays strict */
	assert_int_equal(ask(f, ARM_PUT, SHELF "s", "{location:'westeurope'}"), 400);
}

static void
a_failure_has_details(void **state)
{
	struct fixture *f = *state;

	group(f);
	assert_string_equal(
		deploy(f, D "d1",
		       SIMPLE(A_SHELF("s1") "," A_BOX("b1", ",properties:{size:{width:0}},dependsOn:['s1']") "," A_SHELF_AND(
			       "s2", ",dependsOn:['b1']"))),
		"Failed");
	assert_string_equal(text(f, "properties.error.code"), "DeploymentFailed");
	assert_string_equal(arm_str(at(f, "properties.error.details", 0), "target", ""), BOX "b1");
	assert_int_equal(ask(f, ARM_GET, SHELF "s1", NULL), 200);
	assert_int_equal(ask(f, ARM_GET, G "/deployments/d1/operations", NULL), 200);
	assert_string_equal(arm_str(at(f, "value", 1), "properties.provisioningState", ""),
			    "Failed");
	assert_non_null(arm_at(at(f, "value", 1), "properties.statusMessage.error.code"));
	assert_int_equal(ask_as(f,
				(struct ask){ .who = "w",
					      .query = "api-version=2020-01-01&$filter="
						       "provisioningState%20eq%20'Succeeded'" },
				ARM_GET, D, NULL),
			 200);
	assert_int_equal(json_array_size(arm_at(f->resp.body, "value")), 0);
}

/* What only nodes know would be answered later, by another thread. */
static void
nodes_are_not_asked(void **state)
{
	struct fixture *f = *state;

	group(f);
	box(f, "b1", "{\"size\":{\"width\":1}}");
	assert_string_equal(deploy(f, D "d1",
				   TEMPLATE("{}", "{}", "",
					    "{o:{type:'object',value:\"[reference('" BOX
					    "b1/weight')]\"}}")),
			    "Failed");
	assert_string_equal(text(f, "properties.error.code"), "DeploymentOutputEvaluationFailed");
	assert_non_null(strstr(arm_str(at(f, "properties.error.details", 0), "message", ""),
			       "cannot be referred to in a template"));
}

/* --- as the caller -------------------------------------------------------------------------------------- */

static void
each_request_is_the_callers(void **state)
{
	struct fixture *f = *state;

	group(f);
	assert_int_equal(deploy_as(f, "r", D "d1", SIMPLE(A_SHELF("s1"))), 403);
	assert_int_equal(deploy_as(f, "n", D "d1", SIMPLE(A_SHELF("s1"))), 404);
	/* may write boxes and shelves, not join them */
	assert_int_equal(
		deploy_as(f, "j", D "d1",
			  SIMPLE(A_SHELF("s1") "," A_BOX(
				  "b1", ",properties:{size:{width:1},shelf:{id:\"[resourceId("
					"'Example.Things/shelves','s1')]\"}},dependsOn:['s1']"))),
		201);
	assert_string_equal(finish(f, D "d1"), "Failed");
	assert_string_equal(arm_str(at(f, "properties.error.details", 0), "code", ""),
			    "LinkedAuthorizationFailed");
	assert_int_equal(ask(f, ARM_GET, SHELF "s1", NULL), 200);
	assert_int_equal(ask(f, ARM_GET, BOX "b1", NULL), 404);
}

/* Beginning and end are told for whom it was. */
static void
events_say_on_whose_behalf(void **state)
{
	struct fixture *f = *state;
	json_t *one;
	size_t i, n = 0;

	group(f);
	assert_int_equal(deploy_as(f, "f", D "d1", SIMPLE(A_SHELF("s1"))), 201);
	assert_string_equal(finish(f, D "d1"), "Succeeded");
	assert_int_equal(
		ask_as(f,
		       (struct ask){ .who = "w",
				     .query =
					     "api-version=2015-04-01&$filter=eventTimestamp%20ge%20"
					     "'2020-01-01T00:00:00Z'" },
		       ARM_GET,
		       "/subscriptions/" SUB
		       "/providers/Microsoft.Insights/eventtypes/management/values",
		       NULL),
		200);
	json_array_foreach(arm_at(f->resp.body, "value"), i, one) {
		if (strcmp(arm_str(one, "operationName.value", ""),
			   "Microsoft.Resources/deployments/write") != 0)
			continue;
		assert_string_equal(arm_str(one, "properties.onBehalfOfTenantId", ""), "t");
		assert_string_equal(arm_str(one, "properties.onBehalfOfPrincipalId", ""), "agents");
		n++;
	}
	assert_int_equal(n, 2);
}

/* --- over restarts ----------------------------------------------------------------------------------------- */

static int
node_live(struct store_tx *tx, void *arg, struct err *e)
{
	const struct store_node node = { .name = "node-1",
					 .role = "edge",
					 .seen_us = utc_now_us() + 3600000000 };

	return store_node_put(tx, &node, e);
}

static int
node_applies(struct store_tx *tx, void *arg, struct err *e)
{
	struct store_node node = { .name = "node-1", .role = "edge", .applied = 1000 };

	node.seen_us = utc_now_us();
	return store_node_put(tx, &node, e);
}

static void
it_goes_on_after_a_restart(void **state)
{
	struct fixture *f = *state;

	group(f);
	assert_int_equal(store_write(f->s, node_live, NULL, NULL), 0);
	assert_int_equal(
		deploy_as(f, "w", D "d1",
			  TEMPLATE("{k:{type:'securestring'}}", "{\"k\":{\"value\":\"kk\"}}",
				   A_BOX("b1", ",properties:{size:{width:1}}") "," A_BOX(
					   "b2", ",properties:{size:{width:2},key:\"[parameters('k')"
						 "]\"},dependsOn:['b1']"),
				   "{n:{type:'int',value:\"[reference('b2').size.width]\"}}")),
		201);
	arm_tick(f->en);
	arm_tick(f->en);
	/* b1 waits for its node; b2 has not begun */
	assert_int_equal(ask(f, ARM_GET, D "d1", NULL), 200);
	assert_string_equal(text(f, "properties.provisioningState"), "Running");
	assert_int_equal(ask(f, ARM_GET, BOX "b2", NULL), 404);
	assert_int_equal(deploy_as(f, "w", D "d1", SIMPLE("")), 409);
	assert_string_equal(code(f), "DeploymentActive");
	assert_int_equal(ask(f, ARM_DELETE, D "d1", NULL), 409);
	arm_response_fini(&f->resp);
	stop(f);
	start(f);
	arm_tick(f->en);
	assert_int_equal(ask(f, ARM_GET, BOX "b2", NULL), 404);
	assert_int_equal(store_write(f->s, node_applies, NULL, NULL), 0);
	assert_string_equal(finish(f, D "d1"), "Succeeded");
	assert_int_equal(arm_int(f->resp.body, "properties.outputs.n.value", 0), 2);
	assert_int_equal(ask(f, ARM_GET, BOX "b2", NULL), 200);
	assert_string_equal(text(f, "properties.key"), "kk");
}

/* What a controller did before it was killed, and had no time to note, is done again. */
static int
forget(struct store_tx *tx, void *arg, struct err *e)
{
	struct store_deployment row;
	AUTO_ARENA a = { 0 };
	int r = store_deployment_get(tx, &a, arm_id_fold(&a, D "d1"), &row, e);
	json_t *j, *step;
	AUTO_FREE char *text = NULL;
	AUTO_FREE char *request = NULL;
	const void *was;
	size_t i, n;

	if (r <= 0)
		return -ENOENT;
	j = json_loads(row.body, 0, NULL);
	json_object_set_new(j, "state", json_string("Running"));
	json_array_foreach(json_object_get(j, "steps"), i, step)
		json_object_set_new(step, "state", json_string("Waiting"));
	text = json_dumps(j, 0);
	row.body = text;
	row.is_active = true;
	json_decref(j);
	r = store_secret_get(tx, &a, row.fold, "request", &was, &n, e);
	if (r != 1)
		return -ENOENT;
	j = json_loadb(was, n, 0, NULL);
	json_object_set_new(j, "caller", json_pack("{s:s}", "oid", "w"));
	request = json_dumps(j, 0);
	json_decref(j);
	r = store_secret_put(tx, row.fold, "request", request, strlen(request), e);
	if (r < 0)
		return r;
	return store_deployment_put(tx, &row, e);
}

static void
what_was_done_may_be_done_again(void **state)
{
	struct fixture *f = *state;
	const char *etag;

	group(f);
	assert_string_equal(deploy(f, D "d1",
				   SIMPLE(A_SHELF("s1") "," A_BOX(
					   "b1", ",properties:{size:{width:1}},dependsOn:['s1']"))),
			    "Succeeded");
	ask(f, ARM_GET, BOX "b1", NULL);
	etag = arena_strdup(&f->arena, text(f, "properties.number"));
	assert_int_equal(store_write(f->s, forget, NULL, NULL), 0);
	stop(f);
	start(f);
	assert_string_equal(finish(f, D "d1"), "Succeeded");
	ask(f, ARM_GET, BOX "b1", NULL);
	assert_string_equal(text(f, "properties.number"), etag);
}

static void
it_can_be_canceled(void **state)
{
	struct fixture *f = *state;

	group(f);
	assert_int_equal(store_write(f->s, node_live, NULL, NULL), 0);
	assert_int_equal(
		deploy_as(f, "w", D "d1",
			  SIMPLE(A_BOX("b1", ",properties:{size:{width:1}}") "," A_SHELF_AND(
				  "s1", ",dependsOn:['b1']"))),
		201);
	arm_tick(f->en);
	assert_int_equal(ask_as(f, (struct ask){ .who = "r" }, ARM_POST, D "d1/cancel", NULL), 403);
	assert_int_equal(ask(f, ARM_POST, D "d1/cancel", NULL), 204);
	assert_string_equal(finish(f, D "d1"), "Canceled");
	assert_string_equal(text(f, "properties.error.code"), "DeploymentCanceled");
	assert_int_equal(ask(f, ARM_POST, D "d1/cancel", NULL), 409);
	assert_int_equal(store_write(f->s, node_applies, NULL, NULL), 0);
	for (int i = 0; i < 5; i++)
		arm_tick(f->en);
	assert_int_equal(ask(f, ARM_GET, SHELF "s1", NULL), 404);
	assert_int_equal(ask(f, ARM_DELETE, D "d1", NULL), 204);
	assert_int_equal(ask(f, ARM_GET, D "d1", NULL), 404);
}

static const char *
state_at(struct fixture *f, const char *path)
{
	ask(f, ARM_GET, path, NULL);
	return arena_strdup(&f->arena, text(f, "properties.provisioningState"));
}

/* In another group its nested ones go on. */
static void
cancelling_stops_where_one_may(void **state)
{
#define G2_D "/subscriptions/" SUB "/resourceGroups/g2/providers/Microsoft.Resources/deployments/"
	struct fixture *f = *state;

	group(f);
	ask(f, ARM_PUT, "/subscriptions/" SUB "/resourceGroups/g2",
	    "{\"location\":\"westeurope\"}");
	assert_int_equal(store_write(f->s, node_live, NULL, NULL), 0);
	assert_int_equal(
		deploy_as(f, "w", D "d1",
			  SIMPLE(NESTED("n1", "", A_BOX("b1", ",properties:{size:{width:1}}"),
					"{}") "," NESTED("n2", ",resourceGroup:'g2'",
							 A_BOX("b2", ",properties:{size:{width:1}}"),
							 "{}"))),
		201);
	for (int i = 0; i < 3; i++)
		arm_tick(f->en);
	assert_string_equal(state_at(f, D "n1"), "Running");
	assert_string_equal(state_at(f, G2_D "n2"), "Running");
	assert_int_equal(ask_as(f, (struct ask){ .who = "g" }, ARM_POST, D "d1/cancel", NULL), 204);
	assert_string_equal(state_at(f, D "d1"), "Canceled");
	assert_string_equal(state_at(f, D "n1"), "Canceled");
	assert_string_equal(state_at(f, G2_D "n2"), "Running");
	assert_int_equal(ask(f, ARM_POST, G2_D "n2/cancel", NULL), 204);
}

/* --- nested, subscriptions ------------------------------------------------------------------------------------ */

static void
deployments_nest(void **state)
{
	struct fixture *f = *state;

	group(f);
	assert_string_equal(
		deploy(f, D "d1",
		       TEMPLATE(
			       "{}", "{}",
			       NESTED("inner", "", A_SHELF("s1"),
				      "{id:{type:'string',value:\"[resourceId('Example.Things/"
				      "shelves','s1')]\"}}") "," A_BOX("b1",
								       ",properties:{size:{width:1},shelf:{id:\"["
								       "reference('inner').outputs.id.value]\"}}"),
			       "{}")),
		"Succeeded");
	ask(f, ARM_GET, BOX "b1", NULL);
	assert_string_equal(text(f, "properties.shelf.id"), SHELF "s1");
	assert_int_equal(ask(f, ARM_GET, D "inner", NULL), 200);
	assert_string_equal(
		deploy(f, D "d2",
		       SIMPLE(NESTED("bad", "", A_BOX("b2", ",properties:{size:{width:0}}"), "{}"))),
		"Failed");
	assert_string_equal(arm_str(at(f, "properties.error.details", 0), "code", ""),
			    "DeploymentFailed");
}

static int
template_left(struct store_tx *tx, void *arg, struct err *e)
{
	AUTO_ARENA a = { 0 };
	const void *text;
	size_t n;

	assert_int_equal(store_secret_get(tx, &a, arm_id_fold(&a, arg), "request", &text, &n, e),
			 1);
	return strstr(text, "hidden-value") || strstr(text, "\"template\"");
}

/* The outer one's secrets are in the template that it makes; so in what is inside of that. */
static void
filled_templates_are_not_kept(void **state)
{
#define OUTER(name, resources) \
	"{type:'Microsoft.Resources/deployments',apiVersion:'2021-04-01',name:'" name \
	"',properties:{mode:'Incremental',template:{resources:[" resources "]}}}"
	struct fixture *f = *state;

	group(f);
	assert_string_equal(
		deploy(f, D "d1",
		       TEMPLATE("{k:{type:'securestring'}}", "{\"k\":{\"value\":\"hidden-value\"}}",
				OUTER("n1", NESTED("n2", "",
						   A_BOX("b1", ",properties:{size:{width:1},key:\"["
							       "parameters('k')]\"}"),
						   "{}")) "," NESTED("n3", "", "", "{}"),
				"{}")),
		"Succeeded");
	ask(f, ARM_GET, BOX "b1", NULL);
	assert_string_equal(text(f, "properties.key"), "hidden-value");
	assert_int_equal(store_read(f->s, template_left, (void *)(D "n1"), NULL), 0);
	assert_int_equal(store_read(f->s, template_left, (void *)(D "n2"), NULL), 0);
	assert_int_equal(store_read(f->s, template_left, (void *)(D "n3"), NULL), 1);
	assert_int_equal(ask(f, ARM_POST, D "n1/exportTemplate", NULL), 409);
	assert_int_equal(ask(f, ARM_POST, D "n2/exportTemplate", NULL), 409);
	assert_int_equal(ask(f, ARM_POST, D "n3/exportTemplate", NULL), 200);
	assert_int_equal(ask(f, ARM_POST, D "d1/exportTemplate", NULL), 200);
}

static void
a_subscription_gets_groups(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(
		deploy(f, S_D "d1",
		       "{\"location\":\"westeurope\",\"properties\":{\"mode\":\"Incremental\","
		       "template:{resources:[{type:'Microsoft.Resources/resourceGroups',"
		       "apiVersion:'2021-04-01',name:'g9',location:'westeurope'}," NESTED(
			       "in", ",resourceGroup:'g9',dependsOn:['g9']", A_SHELF("s1"),
			       "{}") "],outputs:{l:{type:'string',value:\"[deployment().location]\"}}"
				     "}}}"),
		"Succeeded");
	assert_string_equal(text(f, "location"), "westeurope");
	assert_string_equal(text(f, "properties.outputs.l.value"), "westeurope");
	assert_int_equal(ask(f, ARM_GET,
			     "/subscriptions/" SUB
			     "/resourceGroups/g9/providers/Example.Things/shelves/s1",
			     NULL),
			 200);
	assert_int_equal(ask(f, ARM_GET, S_D, NULL), 200);
	assert_int_equal(json_array_size(arm_at(f->resp.body, "value")), 1);
	/* the history of a group goes with it */
	assert_int_equal(ask(f, ARM_DELETE, "/subscriptions/" SUB "/resourceGroups/g9", NULL), 202);
	arm_tick(f->en);
	assert_int_equal(ask(f, ARM_PUT, "/subscriptions/" SUB "/resourceGroups/g9",
			     "{\"location\":\"westeurope\"}"),
			 201);
	ask(f, ARM_GET,
	    "/subscriptions/" SUB "/resourceGroups/g9/providers/Microsoft.Resources/deployments",
	    NULL);
	assert_int_equal(json_array_size(arm_at(f->resp.body, "value")), 0);
}

static const json_t *
change_of(struct fixture *f, const char *id)
{
	json_t *one;
	size_t i;

	json_array_foreach(arm_at(f->resp.body, "properties.changes"), i, one) {
		if (!strcmp(arm_str(one, "resourceId", ""), id))
			return one;
	}
	return NULL;
}

/* --- complete mode --------------------------------------------------------------------------------------------- */

static void
complete_mode_deletes_the_rest(void **state)
{
	struct fixture *f = *state;

	group(f);
	ask(f, ARM_PUT, SHELF "old", "{\"location\":\"westeurope\"}");
	box(f, "b-old", "{\"size\":{\"width\":1},\"shelf\":{\"id\":\"" SHELF "old\"}}");
	/* the shelf cannot go before the box that stands on it */
	assert_string_equal(
		deploy(f, D "d1",
		       "{\"properties\":{\"mode\":\"Complete\",template:{resources:[" A_SHELF(
			       "new") "]}}}"),
		"Succeeded");
	assert_int_equal(ask(f, ARM_GET, SHELF "old", NULL), 404);
	assert_int_equal(ask(f, ARM_GET, BOX "b-old", NULL), 404);
	assert_int_equal(ask(f, ARM_GET, SHELF "new", NULL), 200);
	/* what a nested deployment makes is named, too */
#define KEEPS \
	"{\"properties\":{\"mode\":\"Complete\",template:{resources:[" NESTED( \
		"n", "", A_SHELF("inner"), "{}") "]}}}"
	assert_int_equal(ask(f, ARM_POST, D "d2/whatIf", KEEPS), 200);
	assert_string_equal(arm_str(change_of(f, SHELF "inner"), "changeType", ""), "Create");
	assert_string_equal(arm_str(change_of(f, SHELF "new"), "changeType", ""), "Delete");
	assert_int_equal(json_array_size(arm_at(f->resp.body, "properties.changes")), 2);
	assert_string_equal(deploy(f, D "d2", KEEPS), "Succeeded");
	assert_int_equal(ask(f, ARM_GET, SHELF "new", NULL), 404);
	assert_int_equal(ask(f, ARM_GET, SHELF "inner", NULL), 200);
}

/* --- what-if, validate --------------------------------------------------------------------------------------------- */

static void
what_if_changes_nothing(void **state)
{
	struct fixture *f = *state;
	const json_t *c;
	const char *etag;

	group(f);
	ask(f, ARM_PUT, SHELF "s1", "{\"location\":\"westeurope\"}");
	ask(f, ARM_PUT, SHELF "other", "{\"location\":\"westeurope\"}");
	box(f, "b1", "{\"size\":{\"width\":1},\"label\":\"a\"}");
	etag = arena_strdup(&f->arena, text(f, "etag"));
	assert_int_equal(
		ask(f, ARM_POST, D "w/whatIf",
		    SIMPLE(A_SHELF("s1") "," A_BOX(
			    "b1",
			    ",properties:{size:{width:4},label:'b'}") "," A_BOX("b2",
										",properties:{size:{"
										"width:\"[reference('b1')"
										".size.width]\"}}"))),
		200);
	assert_string_equal(text(f, "status"), "Succeeded");
	assert_string_equal(arm_str(change_of(f, SHELF "s1"), "changeType", ""), "NoChange");
	assert_string_equal(arm_str(change_of(f, SHELF "other"), "changeType", ""), "Ignore");
	c = change_of(f, BOX "b1");
	assert_string_equal(arm_str(c, "changeType", ""), "Modify");
	assert_int_equal(json_array_size(json_object_get(c, "delta")), 2);
	assert_string_equal(arm_str(json_array_get(json_object_get(c, "delta"), 0), "path", ""),
			    "properties.label");
	c = change_of(f, BOX "b2");
	assert_string_equal(arm_str(c, "changeType", ""), "Create");
	assert_int_equal(arm_int(c, "after.properties.size.width", 0), 4);
	/* nothing has happened */
	assert_int_equal(ask(f, ARM_GET, BOX "b2", NULL), 404);
	ask(f, ARM_GET, BOX "b1", NULL);
	assert_string_equal(text(f, "etag"), etag);
	assert_int_equal(ask(f, ARM_GET, D "w", NULL), 404);
	/* complete: the rest would go; ids alone when asked so */
	assert_int_equal(ask(f, ARM_POST, D "w/whatIf",
			     "{\"properties\":{\"mode\":\"Complete\",\"whatIfSettings\":{"
			     "\"resultFormat\":\"ResourceIdOnly\"},template:{resources:[]}}}"),
			 200);
	c = change_of(f, SHELF "s1");
	assert_string_equal(arm_str(c, "changeType", ""), "Delete");
	assert_null(json_object_get(c, "before"));
}

/* By the type's table, and wherever a secure parameter went. */
static void
what_if_masks_secrets(void **state)
{
#define WITH_SECRETS \
	TEMPLATE( \
		"{k:{type:'securestring'},o:{type:'secureObject',defaultValue:{a:{b:'pin-7'}}}}", \
		"{\"k\":{\"value\":\"hidden-value\"}}", \
		A_BOX("b1", \
		      ",tags:{t:\"[concat('is ',parameters('k'))]\"},properties:{key:" \
		      "'written-here',KEY:'written-here',label:\"[parameters('o').a.b]\",size:{width:4},lids:[{" \
		      "name:'l1',properties:{weight:1,code:'code-here'}}]}"), \
		"{}")
	struct fixture *f = *state;
	const json_t *c;

	group(f);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(ask(f, ARM_POST, D "w/whatIf", WITH_SECRETS), 200);
		AUTO_FREE char *all = json_dumps(f->resp.body, 0);

		c = change_of(f, BOX "b1");
		assert_string_equal(arm_str(c, "changeType", ""), i ? "Modify" : "Create");
		assert_null(strstr(all, "hidden-value"));
		assert_null(strstr(all, "pin-7"));
		assert_null(strstr(all, "written-here"));
		assert_null(strstr(all, "old-key"));
		assert_null(strstr(all, "code-here"));
		assert_string_equal(arm_str(c, "after.properties.label", ""), "***");
		assert_string_equal(arm_str(c, "after.tags.t", ""), "***");
		assert_int_equal(arm_int(c, "after.properties.size.width", 0), 4);
		if (!i)
			box(f, "b1", "{\"size\":{\"width\":1},\"key\":\"old-key\"}");
	}
	assert_string_equal(arm_str(c, "after.properties.key", ""), "*** (changed)");
}

static void
validate_finds_what_would_be_refused(void **state)
{
	struct fixture *f = *state;

	group(f);
	assert_int_equal(ask(f, ARM_POST, D "v/validate", SIMPLE(A_SHELF("s1"))), 200);
	assert_string_equal(arm_str(at(f, "properties.validatedResources", 0), "id", ""),
			    SHELF "s1");
	assert_int_equal(ask(f, ARM_GET, SHELF "s1", NULL), 404);
	assert_int_equal(ask(f, ARM_POST, D "v/validate",
			     SIMPLE(A_SHELF("s1") "," A_BOX("b1", ",properties:{size:{width:0}}"))),
			 400);
	assert_string_equal(code(f), "InvalidTemplateDeployment");
	assert_string_equal(arm_str(at(f, "error.details", 0), "target", ""), BOX "b1");
	assert_int_equal(
		ask(f, ARM_POST, D "v/validate",
		    SIMPLE(NESTED("n", "", A_BOX("b1", ",properties:{size:{width:0}}"), "{}"))),
		400);
	assert_int_equal(ask_as(f, (struct ask){ .who = "r" }, ARM_POST, D "v/validate",
				SIMPLE(A_SHELF("s1"))),
			 403);
	/* what one may not join */
	ask(f, ARM_PUT, SHELF "s1", "{\"location\":\"westeurope\"}");
	assert_int_equal(
		ask_as(f, (struct ask){ .who = "j" }, ARM_POST, D "v/validate",
		       SIMPLE(A_BOX("b1", ",properties:{size:{width:1},shelf:{id:\"[resourceId("
					  "'Example.Things/shelves','s1')]\"}}"))),
		403);
}

static int
many_active(struct store_tx *tx, void *arg, struct err *e)
{
	int r = 0;

	for (unsigned i = 0; i < 200 && r == 0; i++) {
		AUTO_FREE char *id = mem_printf("/subscriptions/" SUB "/x/%u", i);
		const struct store_deployment row = {
			.fold = id, .id = id, .sub = SUB, .rg = "g1", .body = "{}", .is_active = true
		};

		r = store_deployment_put(tx, &row, e);
	}
	return r;
}

/* 800 that make 800 each would be 640,000. */
static void
bombs_do_not_go_off(void **state)
{
	static const char bomb[] = SIMPLE(
		"{type:'Microsoft.Resources/deployments',apiVersion:'2021-04-01',name:\"[format('n{0}',"
		"copyIndex())]\",copy:{name:'l',count:800},properties:{mode:'Incremental',"
		"expressionEvaluationOptions:{scope:'inner'},template:{resources:[{type:'Microsoft."
		"Resources/deployments',apiVersion:'2021-04-01',name:\"[format('{0}-{1}',deployment()."
		"name,copyIndex())]\",copy:{name:'l',count:800},properties:{mode:'Incremental',"
		"template:{resources:[]}}}]}}}");
	struct fixture *f = *state;

	group(f);
	assert_int_equal(ask(f, ARM_POST, D "d/validate", bomb), 400);
	assert_non_null(strstr(text(f, "error.message"), "more than 800 resources"));
	/* one of them after the other, never more than 200 at once */
	assert_int_equal(store_write(f->s, many_active, NULL, NULL), 0);
	assert_int_equal(deploy_as(f, "w", D "d", bomb), 429);
	assert_string_equal(header(f, "Retry-After"), "5");
	assert_int_equal(ask(f, ARM_GET, D "d", NULL), 404);
}

/* Each is within the limits; all of them together are not: they are tried in one transaction. */
static void
nested_ones_share_a_budget(void **state)
{
#define COSTLY(count) \
	SIMPLE("{type:'Microsoft.Resources/deployments',apiVersion:'2021-04-01',name:\"[format('n{0}'," \
	       "copyIndex())]\",copy:{name:'l',count:" count "},properties:{mode:'Incremental'," \
	       "expressionEvaluationOptions:{scope:'inner'},template:{resources:[],outputs:{o:{type:" \
	       "'array',copy:{count:300,input:{copy:[{name:'a',count:300,input:1}]}}}}}}}")
	struct fixture *f = *state;

	group(f);
	assert_int_equal(ask(f, ARM_POST, D "d/validate", COSTLY("2")), 200);
	assert_int_equal(ask(f, ARM_POST, D "d/validate", COSTLY("20")), 400);
	assert_non_null(strstr(text(f, "error.message"), "takes more than 2000000 steps"));
	assert_int_equal(ask(f, ARM_POST, D "d/whatIf", COSTLY("20")), 400);
}

/* --- export ------------------------------------------------------------------------------------------------------ */

static void
an_exported_group_can_be_made_again(void **state)
{
	struct fixture *f = *state;
	json_t *body, *t;
	AUTO_FREE char *again = NULL;

	group(f);
	ask(f, ARM_PUT, SHELF "s1", "{\"location\":\"westeurope\",\"tags\":{\"a\":\"[b]\"}}");
	box(f, "b1",
	    "{\"size\":{\"width\":5},\"key\":\"k\",\"shelf\":{\"id\":\"" SHELF
	    "s1\"},\"lids\":[{\"name\":\"l1\",\"properties\":{\"weight\":3}}]}");
	assert_int_equal(
		ask(f, ARM_POST, G "/exportTemplate",
		    "{\"resources\":[\"*\"],\"options\":\"IncludeParameterDefaultValue\"}"),
		200);
	t = json_object_get(f->resp.body, "template");
	assert_string_equal(arm_str(t, "parameters.boxes_b1_name.defaultValue", ""), "b1");
	AUTO_FREE char *shown = json_dumps(t, 0);

	assert_null(strstr(shown, "\"key\""));    /* no secrets */
	assert_null(strstr(shown, "\"number\"")); /* nothing read-only */
	assert_non_null(strstr(shown, "[resourceId('Example.Things/shelves', "
				      "parameters('shelves_s1_name'))]"));
	body = json_pack("{s:{s:s, s:O}}", "properties", "mode", "Incremental", "template", t);
	again = json_dumps(body, 0);
	json_decref(body);
	assert_int_equal(ask(f, ARM_DELETE, BOX "b1", NULL), 202);
	assert_int_equal(ask(f, ARM_DELETE, SHELF "s1", NULL), 202);
	arm_tick(f->en);
	assert_string_equal(deploy(f, D "again", again), "Succeeded");
	ask(f, ARM_GET, BOX "b1", NULL);
	assert_string_equal(text(f, "properties.shelf.id"), SHELF "s1");
	assert_int_equal(arm_int(f->resp.body, "properties.nLids", 0), 1);
	ask(f, ARM_GET, SHELF "s1", NULL);
	assert_string_equal(text(f, "tags.a"), "[b]");
	/* one of them, with its name */
	assert_int_equal(ask(f, ARM_POST, G "/exportTemplate",
			     "{\"resources\":[\"" SHELF
			     "s1\"],\"options\":\"SkipAllParameterization\"}"),
			 200);
	assert_int_equal(json_array_size(arm_at(f->resp.body, "template.resources")), 1);
	assert_string_equal(arm_str(at(f, "template.resources", 0), "name", ""), "s1");
}

static void
a_dry_run_is_a_what_if(void **state)
{
	struct fixture *f = *state;

	group(f);
	assert_int_equal(
		ask_as(f, (struct ask){ .who = "w", .query = "api-version=2020-01-01&dryRun=true" },
		       ARM_PUT, D "d1", SIMPLE(A_SHELF("s1"))),
		200);
	assert_true(arm_bool(f->resp.body, "dryRun", false));
	assert_string_equal(arm_str(change_of(f, SHELF "s1"), "changeType", ""), "Create");
	assert_int_equal(ask(f, ARM_GET, D "d1", NULL), 404);
	assert_int_equal(ask(f, ARM_GET, SHELF "s1", NULL), 404);
}

/* --- many ------------------------------------------------------------------------------------------------------------ */

static void
many_resources_and_pages(void **state)
{
	struct fixture *f = *state;

	group(f);
	assert_string_equal(
		deploy(f, D "d1",
		       SIMPLE("{type:'Example.Things/shelves',apiVersion:'2020-01-01',name:\"[format("
			      "'s{0:D3}',copyIndex())]\",location:'westeurope',copy:{name:'l',"
			      "count:200}}")),
		"Succeeded");
	assert_int_equal(json_array_size(arm_at(f->resp.body, "properties.outputResources")), 200);
	for (unsigned i = 2; i < 5; i++) {
		AUTO_FREE char *path = mem_printf(D "d%u", i);

		assert_string_equal(deploy(f, path, SIMPLE("")), "Succeeded");
	}
	assert_int_equal(
		ask_as(f, (struct ask){ .who = "w", .query = "api-version=2020-01-01&$top=3" },
		       ARM_GET, D, NULL),
		200);
	assert_int_equal(json_array_size(arm_at(f->resp.body, "value")), 3);
	assert_non_null(strstr(text(f, "nextLink"), "%24skipToken="));
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_template_becomes_resources),
		T(secrets_stay_sealed),
		T(what_is_wrong_is_named),
		T(a_failure_has_details),
		T(nodes_are_not_asked),
		T(each_request_is_the_callers),
		T(events_say_on_whose_behalf),
		T(it_goes_on_after_a_restart),
		T(what_was_done_may_be_done_again),
		T(it_can_be_canceled),
		T(cancelling_stops_where_one_may),
		T(deployments_nest),
		T(filled_templates_are_not_kept),
		T(a_subscription_gets_groups),
		T(complete_mode_deletes_the_rest),
		T(what_if_changes_nothing),
		T(what_if_masks_secrets),
		T(validate_finds_what_would_be_refused),
		T(a_dry_run_is_a_what_if),
		T(bombs_do_not_go_off),
		T(nested_ones_share_a_budget),
		T(an_exported_group_can_be_made_again),
		T(many_resources_and_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
