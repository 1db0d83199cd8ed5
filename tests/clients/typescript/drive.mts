/** The life of a task through openapi-fetch, with the types that openapi-typescript made of docs/openapi.yaml. */

import assert from "node:assert/strict";

import createClient from "openapi-fetch";

import type { components, paths } from "./generated/schema.js";

type Task = components["schemas"]["Task"];

const [baseUrl, email] = process.argv.slice(2);
assert(baseUrl && email, "usage: drive.mjs <base url> <e-mail of a new account>");

const client = createClient<paths>({ baseUrl });

const registered = await client.POST("/api/auth/register", {
  body: { email, password: "correct horse battery", name: "Ada" },
});
assert(registered.data, registered.error?.detail);
const { access, user } = registered.data;
client.use({
  onRequest({ request }) {
    request.headers.set("Authorization", `Bearer ${access}`);
    return request;
  },
});

const mine = { user_id: user.id };
const created = await client.POST("/api/{user_id}/tasks", {
  params: { path: mine },
  body: { title: "Call the dentist", priority: "high", tags: ["health"], due_date: "2026-12-01" },
});
assert(created.data, created.error?.detail);
const task: Task = created.data;
assert.equal(created.response.headers.get("ETag"), `"${task.version}"`);
const other = await client.POST("/api/{user_id}/tasks", { params: { path: mine }, body: { title: "Rest" } });
assert(other.data, other.error?.detail);

const list = async (query: NonNullable<paths["/api/{user_id}/tasks"]["get"]["parameters"]["query"]>) => {
  const { data, error } = await client.GET("/api/{user_id}/tasks", { params: { path: mine, query } });
  assert(data, error?.detail);
  return data.map((listed) => listed.title);
};
assert.deepEqual(await list({ sort: "title" }), ["Call the dentist", "Rest"]);
assert.deepEqual(await list({ priority: "high", tag: ["health"], completed: false }), ["Call the dentist"]);
assert.deepEqual(await list({ search: "DENTÍST" }), ["Call the dentist"]);

const path = { ...mine, task_id: task.id };
const completed = await client.PATCH("/api/{user_id}/tasks/{task_id}/complete", {
  params: { path },
  body: { completed: true },
});
assert(completed.data, completed.error?.detail);
assert.equal(completed.data.status, "completed");
assert.deepEqual(await list({ completed: true }), ["Call the dentist"]);
assert.deepEqual(await list({ status: ["completed"] }), ["Call the dentist"]);

const stale = await client.PATCH("/api/{user_id}/tasks/{task_id}", {
  params: { path, header: { "If-Match": `"${task.version}"` } },
  body: { title: "Too late", description: null },
});
assert.equal(stale.response.status, 412);
assert(stale.error && "current" in stale.error);
assert.equal(stale.error.current?.version, completed.data.version);

const deleted = await client.DELETE("/api/{user_id}/tasks/{task_id}", { params: { path } });
assert.equal(deleted.response.status, 204);
assert.deepEqual(await list({}), ["Rest"]);

const gone = await client.GET("/api/{user_id}/tasks/{task_id}", { params: { path } });
assert.equal(gone.error?.code, "task_not_found");
console.log("deleted");
