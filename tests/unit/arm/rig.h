/* An engine with the example provider on a store of its own, and a client of it. */
#pragma once

#include "../test.h"
#include "example.h"

#include "arm/engine.h"
#include "base/mem.h"

#define SUB "11111111-1111-1111-1111-111111111111"
#define G "/subscriptions/" SUB "/resourceGroups/g1"
#define BOX G "/providers/Example.Things/boxes/"
#define SHELF G "/providers/Example.Things/shelves/"

struct fixture {
	char dir[64], db[96], key[96];
	struct store *s;
	struct arm_engine *en;
	struct arena arena;
	struct arm_response resp;
	bool is_done;
	char woken[64];
	int converge_ms, live_ms;
};

struct ask {
	const char *who, *query, *if_match, *if_none_match, *client_request_id;
};

#define LEN \
	"{\"size\":{\"width\":5},\"key\":\"k1\",\"lids\":[{\"name\":\"l1\",\"properties\":{\"weight\":3,\"code\":\"s\"}}]}"

/* An arm_done_fn of the fixture. */
void done(void *arg, struct arm_response *resp);
void start(struct fixture *f);
void stop(struct fixture *f);
int setup(void **state);
int teardown(void **state);
int ask_as(struct fixture *f, struct ask how, enum arm_method m, const char *path,
	   const char *body);
int ask(struct fixture *f, enum arm_method m, const char *path, const char *body);
const char *code(struct fixture *f);
const char *text(struct fixture *f, const char *path);
const char *header(struct fixture *f, const char *name);
void group(struct fixture *f);
void box(struct fixture *f, const char *name, const char *props);
