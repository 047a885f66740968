// Microsoft's JavaScript client for Graph against the simulated tenant.
//
// usage: node client.mjs GRAPH_ORIGIN TENANT_ID
//
// The client does not sign in by itself: the token is fetched here, as its documentation asks of applications.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { BatchRequestContent, BatchResponseContent, Client, GraphError, PageIterator } from "@microsoft/microsoft-graph-client";

const [origin, tenant] = process.argv.slice(2);

async function accessToken() {
  const form = { grant_type: "client_credentials", client_id: randomUUID(), client_secret: "simulated", scope: "https://graph.microsoft.com/.default" };
  const answer = await fetch(`${origin}/${tenant}/oauth2/v2.0/token`, { method: "POST", body: new URLSearchParams(form) });
  assert.equal(answer.status, 200);
  return (await answer.json()).access_token;
}

const token = await accessToken();
const client = Client.initWithMiddleware({
  baseUrl: `${origin}/`,
  customHosts: new Set(["localhost"]),
  authProvider: { getAccessToken: async () => token },
});

async function errorOf(call) {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof GraphError, `${error}`);
    return error;
  }
  assert.fail("expected an error");
}

const first = await client.api("/users").select("id,userPrincipalName,assignedLicenses,usageLocation").top(25).get();
const users = [];
await new PageIterator(client, first, (user) => users.push(user) > 0).iterate();
assert.equal(new Set(users.map((user) => user.id)).size, users.length);
assert.ok(users.length > first.value.length, "more than one page");

const user = await client.api(`/users/${users[0].id}`).get();
assert.equal(user.userPrincipalName, users[0].userPrincipalName);
const absent = await errorOf(client.api(`/users/${randomUUID()}`).get());
assert.deepEqual([absent.statusCode, absent.code], [404, "Request_ResourceNotFound"]);
assert.ok(absent.requestId, "the client finds the request id");

const counted = await client.api("/users/$count").header("ConsistencyLevel", "eventual").get();
assert.equal(Number(counted), users.length);

const victim = users.find((one) => one.assignedLicenses.length > 0);
await client.api(`/users/${victim.id}`).delete();
const bin = await client.api("/directory/deletedItems/microsoft.graph.user").select("id,userPrincipalName,deletedDateTime").get();
const deleted = bin.value.find((one) => one.id === victim.id);
assert.equal(deleted.userPrincipalName, victim.id.replaceAll("-", "") + victim.userPrincipalName);
const restored = await client.api(`/directory/deletedItems/${victim.id}/restore`).post({});
assert.equal(restored.id, victim.id);

const unknown = randomUUID();
const refused = await errorOf(
  client.api(`/users/${victim.id}/assignLicense`).post({ addLicenses: [{ skuId: unknown, disabledPlans: [] }], removeLicenses: [] }),
);
assert.equal(refused.statusCode, 400);
assert.match(refused.message, new RegExp(`License ${unknown} does not correspond to a valid company License`));

// The client cuts off scheme and host and nothing else: URLs of batch parts go without the version.
const batch = new BatchRequestContent([
  { id: "1", request: new Request(`${origin}/users/${users[0].id}`, { method: "GET" }) },
  { id: "2", request: new Request(`${origin}/users/${randomUUID()}`, { method: "GET" }) },
]);
const answers = new BatchResponseContent(await client.api("/$batch").post(await batch.getContent()));
assert.equal(answers.getResponseById("1").status, 200);
assert.equal((await answers.getResponseById("1").json()).id, users[0].id);
assert.equal(answers.getResponseById("2").status, 404);
console.log("official JavaScript client: every step as expected");
