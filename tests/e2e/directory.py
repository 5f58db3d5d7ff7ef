#!/usr/bin/env python3
"""Users, groups, roles, management groups, SCIM and resellers, at a running controller's front door.

  tests/e2e/directory.py CONTROLD CATALOGUE

Everything in a temporary directory and on free ports of loopback. Prints TAP."""
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse
import uuid

CONTROLD, CATALOGUE = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
HOME = tempfile.mkdtemp(prefix="wayleave-directory-")
AUTH = "providers/Microsoft.Authorization"
V = "api-version=2022-04-01"
ROLES = {"Owner": "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "Reader": "acdd72a7-3385-48ef-bd42-f606fba81ae7",
         "Contributor": "b24988ac-6180-42a0-ab88-20f7382dd24c"}
SCIM_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def same(got, want):
    assert got == want, f"got {got!r}, wanted {want!r}"


class Controller:
    def start(self):
        self.config = f"{HOME}/controld.yaml"
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(f"state: {HOME}/state\ncatalogue: {CATALOGUE}\nagents: [\"127.0.0.1:{free_port()}\"]\n")
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(f"{HOME}/notify")
        notify.settimeout(60)
        with open(f"{HOME}/log", "a", encoding="utf-8") as log:
            self.process = subprocess.Popen([CONTROLD, "--config", self.config], stderr=log,
                                            env=dict(os.environ, NOTIFY_SOCKET=f"{HOME}/notify"))
        same(notify.recv(64), b"READY=1")
        notify.close()
        with open(f"{HOME}/state/env", encoding="utf-8") as f:
            self.env = {k: v.strip("'") for k, _, v in (line.strip().partition("=") for line in f)}
        url = urllib.parse.urlparse(self.env["ARM_ENDPOINT"])
        self.host, self.port = url.hostname, url.port
        self.tls = ssl.create_default_context(cafile=self.env["CA_FILE"])

    def call(self, method, path, body=None, token=None, headers=None):
        """(status, JSON, headers)"""
        c = http.client.HTTPSConnection(self.host, self.port, context=self.tls, timeout=60)
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = "Bearer " + token
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        c.request(method, urllib.parse.quote(path, safe="/?&=$:%,@"), body, headers)
        r = c.getresponse()
        data = r.read()
        c.close()
        return r.status, json.loads(data) if data else None, dict(r.getheaders())

    def token(self, client, secret):
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "client_id": client,
                                       "client_secret": secret,
                                       "scope": self.env["ARM_ENDPOINT"] + "/.default"})
        status, body, _ = self.call("POST", "/adfs/oauth2/token", form,
                                    headers={"Content-Type": "application/x-www-form-urlencoded"})
        assert status == 200, body
        return body["access_token"]

    def first(self, name):
        prefix = "" if name == "customer" else name.upper() + "_"
        return self.token(self.env[prefix + "CLIENT_ID"], self.env[prefix + "CLIENT_SECRET"])


class World:
    """What one test leaves for the next."""


C, W = Controller(), World()


def ok(status, *wanted):
    def check(answer):
        got, body, _ = answer
        assert got == status, f"got {got}, wanted {status}: {json.dumps(body)[:600]}"
        for path, want in wanted:
            at = body
            for k in path.split("."):
                at = at[int(k)] if isinstance(at, list) else at[k]
            same(at, want)
        return body
    return check


def refused(status, code):
    def check(answer):
        got, body, _ = answer
        assert got == status and body["error"]["code"] == code, f"got {got} {json.dumps(body)[:600]}, wanted {status} {code}"
        return body
    return check


def assign(scope, role, oid, token, kind="ServicePrincipal", name=None):
    return C.call("PUT", f"{scope}/{AUTH}/roleAssignments/{name or uuid.uuid4()}?{V}",
                  {"properties": {"roleDefinitionId": f"/{AUTH}/roleDefinitions/{ROLES.get(role, role)}",
                                  "principalId": oid, "principalType": kind}}, token)


def new_app(name, token):
    """(object id, token) of a new service principal with a secret, as az ad sp create-for-rbac makes it."""
    app = ok(201)(C.call("POST", "/v1.0/applications", {"displayName": name}, token))
    sp = ok(201)(C.call("POST", "/v1.0/servicePrincipals", {"appId": app["appId"]}, token))
    secret = ok(200)(C.call("POST", f"/v1.0/applications/{app['id']}/addPassword",
                            {"passwordCredential": {"displayName": "rbac"}}, token))
    return sp["id"], C.token(app["appId"], secret["secretText"])


def starts():
    C.start()
    W.sub = f"/subscriptions/{C.env['SUBSCRIPTION']}"
    W.operator, W.customer, W.nobody = (C.first(n) for n in ("operator", "customer", "nobody"))
    W.root = f"/providers/Microsoft.Management/managementGroups/{C.env['TENANT']}"


def graph_makes_and_finds():
    user = ok(201)(C.call("POST", "/v1.0/users", {"displayName": "Ann O'Hara", "userPrincipalName": "ann@contoso.example",
                                                  "accountEnabled": True, "passwordProfile": {"password": "x"}}, W.operator))
    W.ann = user["id"]
    ok(409)(C.call("POST", "/v1.0/users", {"displayName": "x", "userPrincipalName": "ANN@contoso.example"}, W.operator))
    ok(200, ("value.0.id", W.ann))(C.call("GET", "/v1.0/users?$filter=userPrincipalName eq 'Ann@Contoso.example'", None, W.nobody))
    ok(200, ("value.0.id", W.ann))(C.call("GET", "/v1.0/users?$filter=displayName eq 'Ann O''Hara'", None, W.nobody))
    ok(200, ("displayName", "Ann O'Hara"))(C.call("GET", "/v1.0/users/ann@contoso.example", None, W.nobody))
    refused(403, "Authorization_RequestDenied")(C.call("POST", "/v1.0/users", {"displayName": "x", "userPrincipalName": "b@x.y"}, W.customer))
    refused(403, "Authorization_RequestDenied")(C.call("DELETE", f"/v1.0/users/{W.ann}", None, W.customer))
    refused(400, "Request_BadRequest")(C.call("POST", "/v1.0/users", {"displayName": "x", "userPrincipalName": "no at"}, W.operator))
    refused(400, "Request_BadRequest")(C.call("GET", "/v1.0/users?$filter=startswith(surname,'a')", None, W.nobody))
    for text, n in (("startswith(displayName,'ANN')", 1), ("startswith(displayName,'b')", 0), ("userPrincipalName eq 'ann@contoso.example' and displayName eq 'x'", 0),
                    (f"displayName eq 'Ann O''Hara' and id eq '{W.ann}'", 1)):
        same(len(ok(200)(C.call("GET", f"/v1.0/users?$filter={text}", None, W.nobody))["value"]), n)
    ok(400)(C.call("GET", "/v1.0/users?$filter=displayName eq 'a' or displayName eq 'b'", None, W.nobody))
    ok(401)(C.call("GET", "/v1.0/users", None, "abc"))
    ok(404)(C.call("GET", f"/v1.0/users/{uuid.uuid4()}", None, W.nobody))
    W.app_oid, W.app = new_app("robot", W.operator)
    me = ok(200, ("displayName", "robot"))(C.call("GET", "/v1.0/me", None, W.app))
    ok(200, ("value.0.id", W.app_oid))(C.call("GET", f"/v1.0/servicePrincipals?$filter=servicePrincipalNames/any(c:c eq '{me['appId']}')", None, W.nobody))
    got = ok(200)(C.call("POST", "/v1.0/directoryObjects/getByIds", {"ids": [W.ann, W.app_oid, str(uuid.uuid4())],
                                                                    "types": ["user", "servicePrincipal"]}, W.nobody))["value"]
    same({g["@odata.type"] for g in got}, {"#microsoft.graph.user", "#microsoft.graph.servicePrincipal"})
    for part in ("addPassword", "removePassword", "removeKey", "federatedIdentityCredentials"):
        refused(405, "MethodNotAllowed")(C.call("POST", f"/v1.0/directoryObjects/{W.app_oid}/{part}", {}, W.operator))
    refused(404, "Request_ResourceNotFound")(C.call("GET", f"/v1.0/directoryObjects/{W.app_oid}/addPassword", None, W.nobody))
    page = ok(200)(C.call("GET", "/v1.0/servicePrincipals?$top=3", None, W.nobody))
    seen = {p["id"] for p in page["value"]}
    while "@odata.nextLink" in page:
        path = page["@odata.nextLink"].removeprefix(C.env["ARM_ENDPOINT"])
        page = ok(200)(C.call("GET", path, None, W.nobody))
        seen |= {p["id"] for p in page["value"]}
    assert len(seen) == 7, len(seen)


def groups_carry_roles():
    g = ok(201)(C.call("POST", "/v1.0/groups", {"displayName": "operators", "mailNickname": "o", "mailEnabled": False,
                                                "securityEnabled": True}, W.operator))["id"]
    outer = ok(201)(C.call("POST", "/v1.0/groups", {"displayName": "outer"}, W.operator))["id"]
    def ref(group, oid):
        return C.call("POST", f"/v1.0/groups/{group}/members/$ref",
                      {"@odata.id": f"{C.env['ARM_ENDPOINT']}/v1.0/directoryObjects/{oid}"}, W.operator)
    ok(204)(ref(g, W.app_oid))
    ok(204)(ref(outer, g))
    ok(204)(ref(g, outer))  # a ring: no harm
    ok(400)(ref(g, g))
    ok(404)(ref(g, uuid.uuid4()))
    refused(404, "SubscriptionNotFound")(C.call("GET", f"{W.sub}/resourcegroups?{V}", None, W.app))
    ok(201, ("properties.principalType", "Group"))(assign(W.sub, "Reader", outer, W.customer, "Group"))
    ok(200)(C.call("GET", f"{W.sub}/resourcegroups?{V}", None, W.app))
    refused(403, "AuthorizationFailed")(C.call("PUT", f"{W.sub}/resourcegroups/x?{V}", {"location": "westeurope"}, W.app))
    ok(200, ("value.0.properties.principalId", outer))(C.call("GET", f"{W.sub}/{AUTH}/roleAssignments?{V}&$filter=assignedTo('{W.app_oid}')", None, W.customer))
    members = ok(200)(C.call("GET", f"/v1.0/groups/{g}/members", None, W.nobody))["value"]
    same({m["id"] for m in members}, {W.app_oid, outer})
    same(set(ok(200)(C.call("POST", f"/v1.0/servicePrincipals/{W.app_oid}/getMemberGroups", {"securityEnabledOnly": False}, W.nobody))["value"]), {g, outer})
    ok(204)(C.call("DELETE", f"/v1.0/groups/{g}/members/{W.app_oid}/$ref", None, W.operator))
    refused(404, "SubscriptionNotFound")(C.call("GET", f"{W.sub}/resourcegroups?{V}", None, W.app))
    ok(204)(ref(g, W.app_oid))
    ok(200)(C.call("GET", f"{W.sub}?{V}", None, W.app))
    ok(204)(C.call("PATCH", f"/v1.0/servicePrincipals/{W.app_oid}", {"accountEnabled": False}, W.operator))
    ok(401)(C.call("GET", f"{W.sub}?{V}", None, W.app))  # at once
    ok(204)(C.call("PATCH", f"/v1.0/servicePrincipals/{W.app_oid}", {"accountEnabled": True}, W.operator))
    ok(204)(C.call("DELETE", f"/v1.0/groups/{outer}", None, W.operator))
    refused(404, "SubscriptionNotFound")(C.call("GET", f"{W.sub}?{V}", None, W.app))


def secrets_are_several_and_go():
    app = ok(201)(C.call("POST", "/v1.0/applications", {"displayName": "keys"}, W.operator))
    first, second = (ok(200)(C.call("POST", f"/v1.0/applications/{app['id']}/addPassword", {}, W.operator)) for _ in "ab")
    for s in (first, second):
        C.token(app["appId"], s["secretText"])
    past = ok(400)(C.call("POST", f"/v1.0/applications/{app['id']}/addPassword", {"passwordCredential": {"endDateTime": "2020-01-01T00:00:00Z"}}, W.operator))
    assert "endDateTime" in past["error"]["message"]
    shown = ok(200)(C.call("GET", f"/v1.0/applications/{app['id']}", None, W.operator))
    same([p["secretText"] for p in shown["passwordCredentials"]], [None, None])
    ok(204)(C.call("POST", f"/v1.0/applications/{app['id']}/removePassword", {"keyId": first["keyId"]}, W.operator))
    C.token(app["appId"], second["secretText"])
    try:
        C.token(app["appId"], first["secretText"])
    except AssertionError:
        pass
    else:
        raise AssertionError("a removed secret still works")
    fed = ok(201)(C.call("POST", f"/v1.0/applications/{app['id']}/federatedIdentityCredentials",
                         {"name": "ci", "issuer": "https://ci.example", "subject": "repo:x", "audiences": ["api://AzureADTokenExchange"]}, W.operator))
    ok(200, ("value.0.subject", "repo:x"))(C.call("GET", f"/v1.0/applications/{app['id']}/federatedIdentityCredentials", None, W.operator))
    ok(204)(C.call("DELETE", f"/v1.0/applications/{app['id']}/federatedIdentityCredentials/{fed['id']}", None, W.operator))
    ok(400)(C.call("POST", f"/v1.0/applications/{app['id']}/federatedIdentityCredentials",
                   {"name": "ci", "issuer": "http://ci.example", "subject": "x", "audiences": ["a"]}, W.operator))
    ok(400)(C.call("PATCH", f"/v1.0/applications/{app['id']}", {"keyCredentials": [{"key": "AAAA", "type": "AsymmetricX509Cert"}]}, W.operator))
    ok(204)(C.call("DELETE", f"/v1.0/applications/{app['id']}", None, W.operator))


def custom_roles():
    role = str(uuid.uuid4())
    path = f"{W.sub}/{AUTH}/roleDefinitions/{role}?{V}"
    body = {"properties": {"roleName": "Group Maker", "description": "d", "assignableScopes": [W.sub], "permissions": [
        {"actions": ["Microsoft.Resources/*"], "notActions": ["*/delete"]}]}}
    refused(404, "SubscriptionNotFound")(C.call("PUT", path, body, W.nobody))
    ok(201, ("id", f"{W.sub}/{AUTH}/roleDefinitions/{role}"), ("properties.type", "CustomRole"))(C.call("PUT", path, body, W.customer))
    refused(409, "RoleDefinitionWithSameNameExists")(C.call("PUT", f"{W.sub}/{AUTH}/roleDefinitions/{uuid.uuid4()}?{V}", body, W.customer))
    for change, code in (({"roleName": "Owner"}, "RoleDefinitionWithSameNameExists"), ({"roleName": ""}, "RoleDefinitionNameNullOrEmpty"),
                         ({"assignableScopes": ["/"]}, "InvalidAssignableScopes"), ({"assignableScopes": []}, "InvalidAssignableScopes"),
                         ({"assignableScopes": [f"/subscriptions/{uuid.uuid4()}"]}, "InvalidAssignableScopes"),
                         ({"permissions": []}, "RoleDefinitionPermissionsInvalid"),
                         ({"permissions": [{"actions": ["nonsense"]}]}, "InvalidActionOrNotAction")):
        bad = {"properties": dict(body["properties"], **change)}
        status, got, _ = C.call("PUT", path, bad, W.customer)
        assert status in (400, 409) and got["error"]["code"] == code, got
    mine = ok(200)(C.call("GET", f"{W.sub}/{AUTH}/roleDefinitions?{V}&$filter=roleName eq 'Group Maker'", None, W.customer))["value"]
    same([d["name"] for d in mine], [role])
    ok(200)(C.call("GET", f"{W.sub}/{AUTH}/roleDefinitions?{V}&$filter=type eq 'CustomRole'", None, W.customer))
    refused(400, "BadRequestFormat")(C.call("GET", f"{W.sub}/{AUTH}/roleDefinitions?{V}&$filter=x", None, W.customer))
    name = str(uuid.uuid4())
    ok(201)(assign(W.sub, role, W.app_oid, W.customer, name=name))
    ok(200)(assign(W.sub, role, W.app_oid, W.customer, name=name))
    refused(409, "RoleAssignmentExists")(assign(W.sub, role, W.app_oid, W.customer))
    refused(400, "RoleAssignmentUpdateNotPermitted")(assign(W.sub, "Reader", W.app_oid, W.customer, name=name))
    refused(400, "UnmatchedPrincipalType")(assign(W.sub, "Reader", W.app_oid, W.customer, "User"))
    refused(400, "PrincipalNotFound")(assign(W.sub, "Reader", str(uuid.uuid4()), W.customer))
    refused(400, "RoleDefinitionDoesNotExist")(assign(W.sub, str(uuid.uuid4()), W.app_oid, W.customer))
    ok(201)(C.call("PUT", f"{W.sub}/resourcegroups/made?{V}", {"location": "westeurope"}, W.app))
    refused(403, "AuthorizationFailed")(C.call("DELETE", f"{W.sub}/resourcegroups/made?{V}", None, W.app))
    refused(403, "AuthorizationFailed")(assign(W.sub, "Owner", W.app_oid, W.app))
    got = ok(200)(C.call("GET", f"{W.sub}/resourcegroups/made/{AUTH}/permissions?{V}", None, W.app))["value"]
    same([(p["actions"], p["notActions"]) for p in got], [(["Microsoft.Resources/*"], ["*/delete"])])
    # narrower from the next request on
    body["properties"]["permissions"] = [{"actions": ["*/read"]}]
    ok(201)(C.call("PUT", path, body, W.customer))
    refused(403, "AuthorizationFailed")(C.call("PUT", f"{W.sub}/resourcegroups/made?{V}", {"location": "westeurope"}, W.app))
    refused(400, "RoleDefinitionHasAssignments")(C.call("DELETE", path, None, W.customer))
    ok(200)(C.call("DELETE", f"{W.sub}/{AUTH}/roleAssignments/{name}?{V}", None, W.customer))
    ok(204)(C.call("DELETE", f"{W.sub}/{AUTH}/roleAssignments/{name}?{V}", None, W.customer))
    ok(200)(C.call("DELETE", path, None, W.customer))
    ok(204)(C.call("DELETE", path, None, W.customer))
    refused(400, "RoleDefinitionReadOnly")(C.call("DELETE", f"{W.sub}/{AUTH}/roleDefinitions/{ROLES['Owner']}?{V}", None, W.customer))
    # a role of the group's scope alone cannot be given elsewhere
    body["properties"]["assignableScopes"] = [f"{W.sub}/resourceGroups/made"]
    ok(201)(C.call("PUT", path, body, W.customer))
    refused(400, "RoleDefinitionNotAssignableAtScope")(assign(W.sub, role, W.app_oid, W.customer))
    ok(201)(assign(f"{W.sub}/resourceGroups/made", role, W.app_oid, W.customer, name=name))
    ok(200)(C.call("DELETE", f"{W.sub}/resourceGroups/made/{AUTH}/roleAssignments/{name}?{V}", None, W.customer))
    ok(200)(C.call("DELETE", path, None, W.customer))


def roles_go_with_what_they_were_given_at():
    group = f"{W.sub}/resourcegroups/made"
    ok(201)(assign(group, "Reader", W.app_oid, W.customer))
    ok(200)(C.call("GET", f"{group}?{V}", None, W.app))
    ok(202)(C.call("DELETE", f"{group}?{V}", None, W.customer))
    deadline = time.monotonic() + 60
    while C.call("GET", f"{group}?{V}", None, W.customer)[0] != 404 and time.monotonic() < deadline:
        time.sleep(0.2)
    ok(201)(C.call("PUT", f"{group}?{V}", {"location": "westeurope"}, W.customer))
    refused(404, "SubscriptionNotFound")(C.call("GET", f"{group}?{V}", None, W.app))


def management_groups_carry_roles():
    mg, below = "/providers/Microsoft.Management/managementGroups/Corp", "/providers/Microsoft.Management/managementGroups/Corp-EU"
    refused(403, "AuthorizationFailed")(C.call("PUT", f"{mg}?{V}", {"properties": {"displayName": "Corp"}}, W.customer))
    ok(200, ("properties.details.parent.name", C.env["TENANT"]))(C.call("PUT", f"{mg}?{V}", {"properties": {"displayName": "Corp"}}, W.operator))
    ok(200, ("properties.details.parent.name", "Corp"))(C.call("PUT", f"{below}?{V}", {"properties": {"details": {"parent": {"id": mg}}}}, W.operator))
    refused(400, "BadRequest")(C.call("PATCH", f"{mg}?{V}", {"parentGroupId": below}, W.operator))  # a ring
    refused(400, "BadRequest")(C.call("DELETE", f"{mg}?{V}", None, W.operator))
    refused(404, "NotFound")(C.call("GET", f"{mg}?{V}", None, W.app))
    refused(404, "SubscriptionNotFound")(C.call("GET", f"{W.sub}?{V}", None, W.app))
    name = str(uuid.uuid4())
    ok(201)(assign(mg, "Reader", W.app_oid, W.operator, name=name))
    refused(404, "SubscriptionNotFound")(C.call("GET", f"{W.sub}?{V}", None, W.app))
    ok(200)(C.call("PUT", f"{below}/subscriptions/{C.env['SUBSCRIPTION']}?{V}", None, W.operator))
    ok(200)(C.call("GET", f"{W.sub}?{V}", None, W.app))
    same([s["subscriptionId"] for s in ok(200)(C.call("GET", f"/subscriptions?{V}", None, W.app))["value"]], [C.env["SUBSCRIPTION"]])
    same(sorted(g["name"] for g in ok(200)(C.call("GET", f"/providers/Microsoft.Management/managementGroups?{V}", None, W.app))["value"]), ["Corp", "Corp-EU"])
    tree = ok(200)(C.call("GET", f"{mg}?{V}&$expand=children&$recurse=true", None, W.app))
    same(tree["properties"]["children"][0]["children"][0]["name"], C.env["SUBSCRIPTION"])
    shown = ok(200)(C.call("GET", f"{W.sub}/{AUTH}/roleAssignments?{V}&$filter=atScope()", None, W.customer))["value"]
    assert any(a["properties"]["scope"] == mg for a in shown), shown
    ok(204)(C.call("DELETE", f"{below}/subscriptions/{C.env['SUBSCRIPTION']}?{V}", None, W.operator))
    refused(404, "SubscriptionNotFound")(C.call("GET", f"{W.sub}?{V}", None, W.app))
    ok(200)(C.call("DELETE", f"{mg}/{AUTH}/roleAssignments/{name}?{V}", None, W.operator))
    ok(204)(C.call("DELETE", f"{below}?{V}", None, W.operator))
    ok(204)(C.call("DELETE", f"{mg}?{V}", None, W.operator))
    # new subscriptions by alias
    alias = f"/providers/Microsoft.Subscription/aliases/dev?{V}"
    refused(403, "AuthorizationFailed")(C.call("PUT", alias, {"properties": {"displayName": "Dev"}}, W.customer))
    made = ok(201)(C.call("PUT", alias, {"properties": {"displayName": "Dev", "workload": "Production"}}, W.operator))
    ok(200, ("properties.subscriptionId", made["properties"]["subscriptionId"]))(C.call("PUT", alias, {"properties": {"displayName": "Dev"}}, W.operator))
    sub = f"/subscriptions/{made['properties']['subscriptionId']}"
    ok(200)(C.call("POST", f"{sub}/providers/Microsoft.Subscription/rename?{V}", {"subscriptionName": "Dev 2"}, W.operator))
    ok(200, ("displayName", "Dev 2"))(C.call("GET", f"{sub}?{V}", None, W.operator))
    ok(200, ("value.0.tenantId", C.env["TENANT"]))(C.call("GET", f"/tenants?{V}", None, W.customer))


def scim(method, path, body=None, token=None, headers=None):
    return C.call(method, "/scim/v2" + path, body, token or W.scim, dict({"Content-Type": "application/scim+json"}, **(headers or {})))


def scim_type(status, kind):
    def check(answer):
        got, body, _ = answer
        assert got == status and body.get("scimType") == kind and body["status"] == str(status), f"{got} {body}"
    return check


def scim_replicates():
    ok(403)(C.call("POST", f"/providers/Wayleave.Directory/scimToken?api-version=2026-01-01", None, W.customer))
    W.scim = ok(200)(C.call("POST", f"/providers/Wayleave.Directory/scimToken?api-version=2026-01-01", None, W.operator))["token"]
    ok(401)(scim("GET", "/Users", token="scim_wrong"))
    ok(401)(scim("GET", "/Users", token=W.operator))
    ok(200, ("patch.supported", True), ("bulk.supported", False), ("etag.supported", True))(scim("GET", "/ServiceProviderConfig"))
    same(ok(200)(scim("GET", "/Schemas"))["totalResults"], 3)
    ok(200, ("endpoint", "/Users"))(scim("GET", "/ResourceTypes/User"))
    bob = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "bob@contoso.example", "externalId": "E-1",
           "name": {"givenName": "Bob", "familyName": "Builder"}, "emails": [{"value": "bob@mail.example", "type": "work", "primary": True}],
           "active": True, "password": "secret", "unknownAttribute": 1}
    status, made, headers = scim("POST", "/Users", bob)
    same(status, 201)
    W.bob = made["id"]
    same((made["displayName"], made["meta"]["version"], headers["ETag"]), ("Bob Builder", 'W/"1"', 'W/"1"'))
    assert headers["Location"].endswith(f"/scim/v2/Users/{W.bob}") and "password" not in made and "unknownAttribute" not in made
    scim_type(409, "uniqueness")(scim("POST", "/Users", bob))
    scim_type(400, "invalidValue")(scim("POST", "/Users", {"externalId": "x"}))
    scim_type(400, "invalidSyntax")(scim("POST", "/Users", "{"))
    for text, n in (('userName eq "BOB@contoso.example"', 1), ('externalId eq "E-1"', 1), ('externalId eq "e-1"', 0), ('displayName co "uild"', 1),
                    ('emails[type eq "work" and value ew "mail.example"]', 1), ('emails.value sw "zzz"', 0), ('not (active eq true)', 0),
                    ('name.familyName eq "Builder" and active eq true or userName eq "x"', 1), ('title pr', 0), ('name pr', 1),
                    (f'id eq "{W.bob}"', 1), ('urn:ietf:params:scim:schemas:core:2.0:User:userName eq "bob@contoso.example"', 1)):
        ok(200, ("totalResults", n))(scim("GET", "/Users?" + urllib.parse.urlencode({"filter": text}, quote_via=urllib.parse.quote)))
    for text in ('userName eq', 'userName xx "a"', '(userName pr', 'userName eq "a" and', "userName eq 'a'", 'active gt true'):
        scim_type(400, "invalidFilter")(scim("GET", "/Users?" + urllib.parse.urlencode({"filter": text}, quote_via=urllib.parse.quote)))
    page = ok(200, ("totalResults", 2), ("itemsPerPage", 1), ("startIndex", 2))(scim("GET", "/Users?startIndex=2&count=1"))
    same(len(page["Resources"]), 1)
    ok(200, ("totalResults", 2), ("itemsPerPage", 0))(scim("GET", "/Users?count=0"))
    same(sorted(ok(200)(scim("GET", f"/Users/{W.bob}?attributes=userName"))), ["id", "schemas", "userName"])


def scim_changes_act_at_once():
    def patch(path, *ops, **kw):
        return scim("PATCH", path, {"schemas": [SCIM_PATCH], "Operations": list(ops)}, **kw)
    bob = f"/Users/{W.bob}"
    ok(200, ("title", "Chief"), ("name.familyName", "B"), ("emails.0.value", "new@x.y"))(patch(
        bob, {"op": "Add", "path": "title", "value": "Chief"}, {"op": "replace", "path": "name.familyName", "value": "B"},
        {"op": "replace", "path": 'emails[type eq "work"].value', "value": "new@x.y"}))
    ok(412)(patch(bob, {"op": "remove", "path": "title"}, headers={"If-Match": 'W/"1"'}))
    got = ok(200)(patch(bob, {"op": "remove", "path": "title"}, headers={"If-Match": 'W/"2"'}))
    assert "title" not in got
    same(scim("GET", bob, headers={"If-None-Match": 'W/"3"'})[0], 304)
    scim_type(400, "mutability")(patch(bob, {"op": "replace", "path": "id", "value": "x"}))
    scim_type(400, "invalidPath")(patch(bob, {"op": "replace", "path": "emails[", "value": "x"}))
    scim_type(400, "noTarget")(patch(bob, {"op": "remove"}))
    scim_type(400, "noTarget")(patch(bob, {"op": "replace", "path": 'emails[value eq "none"].display', "value": "x"}))
    scim_type(400, "invalidSyntax")(patch(bob, {"op": "move"}))
    # values are compared with all there are: no more than 1,000, refused before
    photos = {"op": "add", "path": "photos", "value": list(range(1000))}
    ok(200, ("photos.999", 999))(patch(bob, photos, photos))
    for value in (list(range(30000 // 4)), [1000], 1000):
        scim_type(400, "invalidValue")(patch(bob, dict(photos, value=value)))
    scim_type(400, "invalidValue")(patch(bob, dict(photos, op="replace", value=[0] * 1001)))
    ok(200)(patch(bob, {"op": "remove", "path": "photos"}))
    group = ok(201)(scim("POST", "/Groups", {"displayName": "Ops", "externalId": "G", "members": [{"value": W.bob}, {"value": W.app_oid}]}))
    same({m["value"] for m in group["members"]}, {W.bob, W.app_oid})
    g = f"/Groups/{group['id']}"
    scim_type(409, "uniqueness")(scim("POST", "/Groups", {"displayName": "ops"}))
    scim_type(400, "invalidValue")(patch(g, {"op": "add", "path": "members", "value": [{"value": str(uuid.uuid4())}]}))
    ok(201)(assign(W.sub, "Reader", group["id"], W.customer, "Group"))
    ok(200)(C.call("GET", f"{W.sub}?{V}", None, W.app))
    got = ok(200)(patch(g, {"op": "remove", "path": f'members[value eq "{W.app_oid}"]'}))
    same([m["value"] for m in got["members"]], [W.bob])
    refused(404, "SubscriptionNotFound")(C.call("GET", f"{W.sub}?{V}", None, W.app))
    ok(200)(patch(g, {"op": "Add", "value": {"members": [{"value": W.app_oid}], "displayName": "Ops 2"}}))
    ok(200)(C.call("GET", f"{W.sub}?{V}", None, W.app))
    ok(200, ("groups.0.display", "Ops 2"))(scim("GET", bob))
    ok(200, ("displayName", "Ops 3"), ("members.0.value", W.bob))(scim("PUT", g, {"displayName": "Ops 3", "members": [{"value": W.bob}]}))
    refused(404, "SubscriptionNotFound")(C.call("GET", f"{W.sub}?{V}", None, W.app))
    assert "members" not in ok(200)(scim("GET", f"{g}?excludedAttributes=members"))
    ok(200, ("active", False))(patch(bob, {"op": "Replace", "path": "active", "value": "False"}))
    ok(200, ("accountEnabled", False))(C.call("GET", f"/v1.0/users/{W.bob}", None, W.nobody))
    ok(200, ("active", True), ("displayName", "b@c.d"))(scim("PUT", bob, {"userName": "b@c.d"}))
    ok(204)(scim("DELETE", bob))
    ok(404)(scim("DELETE", bob))
    ok(200, ("members", []))(scim("GET", g))
    ok(204)(scim("DELETE", g))
    ok(501)(scim("POST", "/Bulk", {}))
    ok(204)(C.call("DELETE", f"/providers/Wayleave.Directory/scimToken?api-version=2026-01-01", None, W.operator))
    ok(401)(scim("GET", "/Users"))


P = "api-version=2026-01-01"


def partners_and_customers():
    partner = "/providers/Wayleave.Partner/partners/fabrikam"
    refused(403, "AuthorizationFailed")(C.call("PUT", f"{partner}?{P}", {"properties": {"displayName": "Fabrikam"}}, W.customer))
    W.partner = ok(201)(C.call("PUT", f"{partner}?{P}", {"properties": {"displayName": "Fabrikam", "domain": "fabrikam.example"}}, W.operator))["properties"]
    refused(409, "DomainInUse")(C.call("PUT", f"/providers/Wayleave.Partner/partners/x?{P}", {"properties": {"displayName": "x", "domain": "fabrikam.example"}}, W.operator))
    admin = ok(200)(C.call("POST", f"{partner}/createAdministrator?{P}", {"displayName": "agent"}, W.operator))
    W.agent = C.token(admin["appId"], admin["secret"])
    W.agent_oid = admin["objectId"]
    refused(403, "AuthorizationFailed")(C.call("GET", f"{partner}?{P}", None, W.agent))
    refused(403, "NotAPartner")(C.call("PUT", f"/providers/Wayleave.Partner/customers/x?{P}", {"properties": {"displayName": "x"}}, W.operator))
    refused(403, "AuthorizationFailed")(C.call("PUT", f"/providers/Wayleave.Partner/customers/x?{P}", {"properties": {"displayName": "x"}}, W.customer))
    refused(400, "DomainNotYours")(C.call("PUT", f"/providers/Wayleave.Partner/customers/x?{P}", {"properties": {"displayName": "x", "domain": "contoso.example"}}, W.agent))
    for name in ("contoso", "adatum"):
        made = ok(201)(C.call("PUT", f"/providers/Wayleave.Partner/customers/{name}?{P}",
                              {"properties": {"displayName": name.title(), "domain": f"{name}.fabrikam.example"}}, W.agent))["properties"]
        setattr(W, name, made)
        same(made["partnerTenantId"], W.partner["tenantId"])
    same(len(ok(200)(C.call("GET", f"/providers/Wayleave.Partner/customers?{P}", None, W.agent))["value"]), 2)
    W.csub = f"/subscriptions/{W.contoso['subscriptions'][0]['subscriptionId']}"
    subs = ok(200)(C.call("GET", f"/subscriptions?{V}", None, W.agent))["value"]
    same({s["tenantId"] for s in subs}, {W.partner["tenantId"], W.contoso["tenantId"], W.adatum["tenantId"]})
    same([s["managedByTenants"] for s in subs if s["tenantId"] == W.contoso["tenantId"]], [[{"tenantId": W.partner["tenantId"]}]])
    W.contoso_token, W.adatum_token = "", ""
    for name in ("contoso", "adatum"):
        a = ok(200)(C.call("POST", f"/providers/Wayleave.Partner/customers/{name}/createAdministrator?{P}", {"displayName": "root"}, W.agent))
        setattr(W, name + "_token", C.token(a["appId"], a["secret"]))
        refused(409, "CustomerHasAdministrators")(C.call("POST", f"/providers/Wayleave.Partner/customers/{name}/createAdministrator?{P}", None, W.agent))
        refused(409, "CustomerHasAdministrators")(C.call("POST", f"/providers/Wayleave.Partner/customers/{name}/createScimToken?{P}", None, W.agent))
    # nor is his domain the partner's any more
    contoso = f"/providers/Wayleave.Partner/customers/contoso?{P}"
    for domain in ("", "other.fabrikam.example"):
        refused(409, "CustomerHasAdministrators")(C.call("PUT", contoso, {"properties": {"displayName": "Contoso", "domain": domain}}, W.agent))
    ok(200, ("properties.domain", "contoso.fabrikam.example"))(C.call("PUT", contoso, {"properties": {"displayName": "Contoso Ltd"}}, W.agent))
    ok(200, ("value.0.verifiedDomains.0.name", "contoso.fabrikam.example"))(C.call("GET", "/v1.0/organization", None, W.contoso_token))
    # each customer is alone
    refused(404, "SubscriptionNotFound")(C.call("GET", f"{W.csub}?{V}", None, W.adatum_token))
    refused(404, "SubscriptionNotFound")(C.call("GET", f"{W.csub}?{V}", None, W.customer))
    same([s["tenantId"] for s in ok(200)(C.call("GET", f"/subscriptions?{V}", None, W.contoso_token))["value"]], [W.contoso["tenantId"]])
    refused(404, "Request_ResourceNotFound")(C.call("GET", f"/v1.0/servicePrincipals/{W.agent_oid}", None, W.contoso_token))


def agents_act_on_behalf_until_revoked():
    ok(201)(C.call("PUT", f"{W.csub}/resourcegroups/web?{V}", {"location": "westeurope"}, W.agent))
    seen = ok(200)(C.call("GET", f"{W.csub}/{AUTH}/roleAssignments?{V}&$filter=atScope()", None, W.contoso_token))["value"]
    mine = [a for a in seen if a["properties"]["principalId"] == W.partner["adminAgentsGroupId"]]
    same([a["properties"]["principalType"] for a in mine], ["ForeignGroup"])
    names = ok(200)(C.call("POST", "/v1.0/directoryObjects/getByIds", {"ids": [W.partner["adminAgentsGroupId"]]}, W.contoso_token))["value"]
    same((names[0]["displayName"], names[0]["externalPartnerTenantId"]), ("AdminAgents", W.partner["tenantId"]))
    log = ok(200)(C.call("GET", f"{W.csub}/providers/Microsoft.Insights/eventtypes/management/values?api-version=2015-04-01&$filter=eventTimestamp ge '2020-01-01T00:00:00Z'",
                         None, W.contoso_token))["value"]
    act = [e for e in log if e["operationName"]["value"].lower().endswith("resourcegroups/write")][0]
    text = json.dumps(act)
    for who in (W.agent_oid, W.partner["tenantId"], W.contoso["tenantId"], W.partner["adminAgentsGroupId"]):
        assert who in text, (who, text)
    # what the partner did about the customer himself: made him, his administrator, gave him another name
    acts = [(e["httpRequest"]["method"], e["httpRequest"]["uri"].split("?")[0].rpartition("/")[2], e["caller"])
            for e in log if e["operationName"]["value"] == "Wayleave.Partner/customers/write"]
    same(sorted(acts), [("POST", "createAdministrator", W.agent_oid), ("PUT", "contoso", W.agent_oid), ("PUT", "contoso", W.agent_oid)])
    # strangers get nothing, the partner's people may get less than all
    robot = W.app_oid
    refused(400, "PrincipalNotFound")(assign(W.csub, "Reader", robot, W.contoso_token))
    ok(200)(C.call("DELETE", f"{mine[0]['id']}?{V}", None, W.contoso_token))
    refused(404, "SubscriptionNotFound")(C.call("GET", f"{W.csub}/resourcegroups?{V}", None, W.agent))
    ok(201)(assign(f"{W.csub}/resourceGroups/web", "Reader", W.agent_oid, W.contoso_token))
    ok(200)(C.call("GET", f"{W.csub}/resourcegroups/web?{V}", None, W.agent))
    refused(403, "AuthorizationFailed")(C.call("PUT", f"{W.csub}/resourcegroups/web?{V}", {"location": "westeurope"}, W.agent))
    # a further subscription is the partner's to make, and delegated like the first
    more = f"/providers/Wayleave.Partner/customers/contoso/subscriptions/test?{P}"
    made = ok(201)(C.call("PUT", more, {"properties": {"displayName": "Test"}}, W.agent))["subscriptionId"]
    same(ok(200)(C.call("PUT", more, {"properties": {}}, W.agent))["subscriptionId"], made)
    ok(201)(C.call("PUT", f"/subscriptions/{made}/resourcegroups/g?{V}", {"location": "westeurope"}, W.agent))
    ok(200)(C.call("GET", f"/subscriptions/{made}/resourcegroups/g?{V}", None, W.contoso_token))


def parting_leaves_the_customer_his_own():
    refused(409, "PartnerHasCustomers")(C.call("DELETE", f"/providers/Wayleave.Partner/partners/fabrikam?{P}", None, W.operator))
    # roles at management groups go, too
    root, inner = (f"/providers/Microsoft.Management/managementGroups/{name}" for name in (W.contoso["tenantId"], "contoso-inner"))
    ok(200)(C.call("PUT", f"{inner}?{V}", {"properties": {"displayName": "Inner"}}, W.contoso_token))
    made = ok(201)(C.call("PUT", f"/providers/Microsoft.Subscription/aliases/contoso-own?{V}", {"properties": {"displayName": "Own"}}, W.contoso_token))
    own = f"/subscriptions/{made['properties']['subscriptionId']}"
    refused(404, "SubscriptionNotFound")(C.call("GET", f"{own}?{V}", None, W.agent))
    for scope in (root, inner):
        ok(201)(assign(scope, "Reader", W.agent_oid, W.contoso_token))
    ok(200)(C.call("GET", f"{own}?{V}", None, W.agent))
    ids = [s["id"] for s in ok(200)(C.call("GET", f"/subscriptions?{V}", None, W.agent))["value"]]
    assert ids.count(own) == 1 and ids == sorted(ids), ids  # and is listed, once
    # and so does the token with which the partner replicated users
    litware = f"/providers/Wayleave.Partner/customers/litware"
    W.litware = ok(201)(C.call("PUT", f"{litware}?{P}", {"properties": {"displayName": "Litware", "domain": "litware.fabrikam.example"}}, W.agent))["properties"]
    token = ok(200)(C.call("POST", f"{litware}/createScimToken?{P}", None, W.agent))["token"]
    dora = ok(201)(scim("POST", "/Users", {"userName": "dora@litware.fabrikam.example"}, token))["id"]
    token = ok(200)(C.call("POST", f"{litware}/createScimToken?{P}", None, W.agent))["token"]
    # which it cannot replace once somebody of the customer's own, here a person, decides over his tenant
    ok(201)(assign(f"/providers/Microsoft.Management/managementGroups/{W.litware['tenantId']}", "Owner", dora, W.operator, "User"))
    refused(409, "CustomerHasAdministrators")(C.call("POST", f"{litware}/createScimToken?{P}", None, W.agent))
    ok(200)(C.call("DELETE", f"{litware}?{P}", None, W.agent))
    ok(401)(scim("GET", "/Users", token=token))
    ok(200)(C.call("DELETE", f"/providers/Wayleave.Partner/customers/contoso?{P}", None, W.agent))
    ok(204)(C.call("DELETE", f"/providers/Wayleave.Partner/customers/contoso?{P}", None, W.agent))
    refused(404, "SubscriptionNotFound")(C.call("GET", f"{W.csub}/resourcegroups/web?{V}", None, W.agent))
    log = ok(200)(C.call("GET", f"{W.csub}/providers/Microsoft.Insights/eventtypes/management/values?api-version=2015-04-01&$filter=eventTimestamp ge '2020-01-01T00:00:00Z'",
                         None, W.contoso_token))["value"]
    same([e["caller"] for e in log if e["operationName"]["value"] == "Wayleave.Partner/customers/delete"], [W.agent_oid])
    refused(404, "SubscriptionNotFound")(C.call("GET", f"{own}?{V}", None, W.agent))
    for scope in (root, inner):
        held = ok(200)(C.call("GET", f"{scope}/{AUTH}/roleAssignments?{V}&$filter=atScope()", None, W.contoso_token))["value"]
        assert all(a["properties"]["principalId"] != W.agent_oid for a in held), held
    ok(200)(C.call("GET", f"{W.csub}/resourcegroups/web?{V}", None, W.contoso_token))
    ok(200)(C.call("DELETE", f"/providers/Wayleave.Partner/customers/adatum?{P}", None, W.agent))
    ok(200)(C.call("DELETE", f"/providers/Wayleave.Partner/partners/fabrikam?{P}", None, W.operator))
    ok(401)(C.call("GET", f"/subscriptions?{V}", None, W.agent))


TESTS = [starts, graph_makes_and_finds, groups_carry_roles, secrets_are_several_and_go, custom_roles,
         roles_go_with_what_they_were_given_at, management_groups_carry_roles,
         scim_replicates, scim_changes_act_at_once, partners_and_customers, agents_act_on_behalf_until_revoked,
         parting_leaves_the_customer_his_own]


def main():
    failed = 0
    print(f"1..{len(TESTS)}")
    try:
        for i, test in enumerate(TESTS, 1):
            try:
                test()
                print(f"ok {i} - {test.__name__}", flush=True)
            except Exception as e:  # a test's own words
                failed += 1
                tb = e.__traceback__
                lines = []
                while tb:
                    lines.append(str(tb.tb_lineno))
                    tb = tb.tb_next
                print(f"not ok {i} - {test.__name__}: line {'>'.join(lines)}: {e!r}", flush=True)
    finally:
        if getattr(C, "process", None):
            C.process.send_signal(signal.SIGTERM)
            C.process.wait(30)
        if failed:
            with open(f"{HOME}/log", encoding="utf-8") as log:
                sys.stderr.write(log.read()[-3000:])
        shutil.rmtree(HOME)
    return failed > 0


sys.exit(main())
