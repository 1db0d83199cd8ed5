// What devices with RxDB do, offline and at the same time, and that they end with what the server has.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";

import { createRxDatabase } from "rxdb/plugins/core";
import { getRxStorageMemory } from "rxdb/plugins/storage-memory";
import { wrappedValidateAjvStorage } from "rxdb/plugins/validate-ajv";
import { Subject } from "rxjs";

import { conflictHandler, follow, projects, replicate, tasks } from "./tickbase-rxdb.js";

const [scenario, base, email, seed] = process.argv.slice(2);
// A schema that lacks a member of the server's would refuse its documents.
const storage = wrappedValidateAjvStorage({ storage: getRxStorageMemory() });
const RETRY = 100; // milliseconds

const headers = { "Content-Type": "application/json" };
const post = (path, body) => fetch(base + path, { method: "POST", headers, body: JSON.stringify(body) });
const registered = await post("/api/auth/register", { email, password: "correct horse battery" });
if (!registered.ok) throw new Error(`register: ${registered.status} ${await registered.text()}`);
const { access, user } = await registered.json();
headers.Authorization = `Bearer ${access}`;
const url = `${base}/api/${user.id}`;

async function request(method, path, body) {
  const response = await fetch(url + path, { method, headers, body: body && JSON.stringify(body) });
  assert(response.ok, `${method} ${path}: ${response.status}`);
  return response.status === 204 ? null : response.json();
}

let count = 0;

class Device {
  isOnline = true;
  changed$ = new Subject();
  conflicts = [];

  static async open() {
    const device = new Device();
    device.database = await createRxDatabase({ name: `device-${count++}`, storage, multiInstance: false });
    await device.database.addCollections({
      projects: { schema: projects, conflictHandler },
      tasks: { schema: tasks, conflictHandler },
    });
    const { changed$ } = device;
    const options = { url, fetch: device.fetch, changed$, retryTime: RETRY };
    const after = replicate({ ...options, collection: device.projects });
    device.replications = [replicate({ ...options, collection: device.tasks, after }), after];
    for (const each of device.replications) each.conflict$.subscribe(({ input }) => device.conflicts.push(input));
    device.connect();
    await device.settled();
    return device;
  }

  get tasks() {
    return this.database.tasks;
  }

  get projects() {
    return this.database.projects;
  }

  fetch = async (place, options) => {
    if (!this.isOnline) throw new TypeError("fetch failed");
    return fetch(place, { ...options, headers });
  };

  connect() {
    this.isOnline = true;
    this.stream = follow({ database: this.database, url, fetch: this.fetch });
    this.stream.changed$.subscribe(this.changed$);
  }

  disconnect() {
    this.isOnline = false;
    this.stream.end();
  }

  task(uid) {
    return this.tasks.findOne(uid).exec();
  }

  async settled() {
    for (const each of this.replications) await each.awaitInSync();
  }
}

/** What a new client would read. */
async function stored(plural) {
  const documents = new Map();
  let checkpoint = { lwt: 0, id: "" }, page;
  do {
    page = await request("GET", `/sync/${plural}/0/pull?lwt=${checkpoint.lwt}&id=${checkpoint.id}&limit=7`);
    checkpoint = page.checkpoint;
    for (const { _deleted, ...document } of page.documents)
      _deleted ? documents.delete(document.uid) : documents.set(document.uid, document);
  } while (page.documents.length === 7);
  return [...documents.values()].sort((one, other) => (one.uid < other.uid ? -1 : 1));
}

async function kept(collection) {
  const found = await collection.find({ sort: [{ uid: "asc" }] }).exec();
  return found.map((document) => document.toJSON());
}

/** Until all devices have what the server has, to the last member. */
async function agree(...devices) {
  const deadline = Date.now() + 20_000;
  for (;;) {
    try {
      for (const device of devices) {
        await device.settled();
        for (const plural of ["projects", "tasks"])
          assert.deepEqual(await kept(device.database[plural]), await stored(plural));
      }
      return;
    } catch (error) {
      if (!(error instanceof assert.AssertionError) || Date.now() > deadline) throw error;
      await new Promise((again) => setTimeout(again, 50));
    }
  }
}

async function until(condition) {
  const deadline = Date.now() + 20_000;
  while (!(await condition())) {
    assert(Date.now() < deadline, `not in time: ${condition}`);
    await new Promise((again) => setTimeout(again, 20));
  }
}

const scenarios = {
  async "made offline"() {
    const [one, other] = [await Device.open(), await Device.open()];
    one.disconnect();
    // The tasks first: what they refer to is sent at the same time.
    await one.tasks.insert({ uid: "parent", title: "Parent", project_uid: "trip", due_date: "2026-12-01", tags: ["a"] });
    await one.tasks.insert({ uid: "child", title: "Child", parent_uid: "parent" });
    await one.projects.insert({ uid: "trip", name: "Trip" });
    await new Promise((passed) => setTimeout(passed, 3 * RETRY));
    one.connect();
    await until(async () => (await other.tasks.count().exec()) === 2 && (await other.projects.count().exec()) === 1);
    await agree(one, other);
    const [child, parent] = [await other.task("child"), await other.task("parent")];
    assert.deepEqual([child.project_uid, child.parent_id], ["trip", parent.id]);
    assert.deepEqual([one.conflicts, other.conflicts], [[], []]);
  },

  async "quick edits"() {
    const [one, other] = [await Device.open(), await Device.open()];
    const task = await one.tasks.insert({ uid: "quick", title: "0" });
    for (let number = 1; number <= 30; number++) {
      await task.incrementalPatch({ title: `${number}` });
      if (number % 3 === 0) await new Promise((passed) => setTimeout(passed, 10));
    }
    await until(async () => (await other.task("quick"))?.title === "30");
    await agree(one, other);
    assert.deepEqual(one.conflicts, []);
  },

  async "merged"() {
    const [one, other] = [await Device.open(), await Device.open()];
    await one.tasks.insert({ uid: "both", title: "Before", priority: "low" });
    await until(() => other.task("both"));
    await agree(one, other);
    one.disconnect();
    other.disconnect();
    await (await one.task("both")).incrementalPatch({ title: "One's", description: "One's" });
    await (await other.task("both")).incrementalPatch({ title: "Other's", priority: "high" });
    one.connect();
    await until(async () => (await stored("tasks"))[0].title === "One's");
    other.connect();
    await until(async () => (await one.task("both")).priority === "high");
    await agree(one, other);
    const { title, description, priority } = await one.task("both");
    assert.deepEqual([title, description, priority], ["One's", "One's", "high"]);
    assert.equal(other.conflicts.length, 1);
    assert.equal(other.conflicts[0].newDocumentState.title, "Other's");
  },

  async "deleted"() {
    const [one, other] = [await Device.open(), await Device.open()];
    for (const uid of ["gone", "kept"]) await one.tasks.insert({ uid, title: uid });
    await until(() => other.task("kept"));
    await agree(one, other);
    await (await one.task("gone")).remove();
    await until(async () => !(await other.task("gone")));
    // What another device has changed meanwhile is not deleted.
    one.disconnect();
    await (await one.task("kept")).remove();
    await (await other.task("kept")).incrementalPatch({ title: "Changed" });
    await agree(other);
    one.connect();
    await until(async () => (await one.task("kept"))?.title === "Changed");
    // To insert it again takes it out of the trash.
    await other.tasks.insert({ uid: "gone", title: "Back" });
    await until(async () => (await one.task("gone"))?.title === "Back");
    await agree(one, other);
    assert.deepEqual(await request("GET", "/trash"), []);
  },

  async "live"() {
    const one = await Device.open();
    const task = await request("POST", "/tasks", { title: "From elsewhere", uid: "live" });
    await until(() => one.task("live"));
    const began = Date.now();
    await request("PATCH", `/tasks/${task.id}/complete`);
    await until(async () => (await one.task("live")).completed);
    assert(Date.now() - began < 2_000);
    await agree(one);
  },

  async "refused"() {
    const one = await Device.open();
    await one.tasks.insert({ uid: "valid", title: "Valid" });
    await agree(one);
    await (await one.task("valid")).incrementalPatch({ title: "" });
    await one.tasks.insert({ uid: "invalid", title: "" });
    await one.tasks.insert({ uid: "next", title: "Next" });
    await until(async () => (await stored("tasks")).length === 2);
    await agree(one);
    assert.equal((await one.task("valid")).title, "Valid");
    assert.equal(await one.task("invalid"), null);
    assert.deepEqual(new Set(one.conflicts.map((input) => input.newDocumentState.uid)), new Set(["valid", "invalid"]));
  },

  async "in a project that was refused"() {
    const [one, other] = [await Device.open(), await Device.open()];
    one.disconnect();
    await one.projects.insert({ uid: "bad", name: "" });
    await one.tasks.insert({ uid: "task", title: "Still there", project_uid: "bad" });
    one.connect();
    await until(async () => (await other.task("task"))?.project_uid === null);
    await agree(one, other);
    assert.equal(await one.projects.count().exec(), 0);
  },

  async "away for too long"() {
    const one = await Device.open();
    for (const uid of ["deleted", "edited", "lost"]) await one.tasks.insert({ uid, title: uid });
    await agree(one);
    one.disconnect();
    await (await one.task("edited")).incrementalPatch({ title: "Edited offline" });
    await one.tasks.insert({ uid: "made", title: "Made offline" });
    for (const uid of ["deleted", "lost"]) await request("DELETE", `/tasks/by-uid/${uid}`);
    await request("DELETE", "/trash");
    await (await one.task("lost")).incrementalPatch({ description: "Edited" });
    const [program, script] = JSON.parse(process.env.MANAGE);
    execFileSync(program, [script, "new_epoch"], { cwd: process.env.ROOT });
    one.connect();
    await until(async () => !(await one.task("deleted")));
    await until(async () => (await stored("tasks")).length === 2);
    await agree(one);
    assert.equal((await one.task("edited")).title, "Edited offline");
    assert.equal((await one.task("made")).title, "Made offline");
    // The edit of what was erased elsewhere is told, and not silently gone.
    assert.deepEqual(one.conflicts.map((input) => input.newDocumentState.uid), ["lost"]);
  },

  /** At random, with spells offline; every replica ends with what the server has. */
  async "soak"() {
    let state = Number(seed);
    const random = (most) => (state = (state * 48271) % 2147483647) % most;
    const devices = [await Device.open(), await Device.open(), await Device.open()];
    const pick = async (collection) => {
      const found = await collection.find().exec();
      return found.length ? found[random(found.length)] : null;
    };
    const acts = [
      async ({ tasks: all, projects: others }) => {
        const [project, parent] = [await pick(others), random(3) ? null : await pick(all)];
        const place = parent ? { parent_uid: parent.uid } : { project_uid: project?.uid ?? null };
        await all.insert({ uid: crypto.randomUUID(), title: `Task ${random(1000)}`, ...place });
      },
      async ({ projects: all }) => {
        if ((await all.count().exec()) < 8) await all.insert({ uid: crypto.randomUUID(), name: `Project ${random(100)}` });
      },
      async ({ tasks: all }) => (await pick(all))?.incrementalPatch({ title: random(20) ? `Title ${random(1000)}` : "" }),
      async ({ tasks: all }) => (await pick(all))?.incrementalPatch({ completed: random(2) === 1 }),
      async ({ tasks: all }) => (await pick(all))?.incrementalPatch({ tags: [`tag ${random(5)}`], priority: "high" }),
      async ({ tasks: all, projects: others }) =>
        (await pick(all))?.incrementalPatch({ project_uid: (await pick(others))?.uid ?? null }),
      async ({ tasks: all }) => random(3) || (await pick(all))?.incrementalRemove(),
      async ({ projects: all }) => random(8) || (await pick(all))?.incrementalRemove(),
      async (device) => (device.isOnline ? device.disconnect() : device.connect()),
      async () => {
        const [task] = await stored("tasks");
        // A device may have deleted it meanwhile.
        if (task) await fetch(`${url}/tasks/${task.id}/complete`, { method: "PATCH", headers });
      },
      async () => new Promise((passed) => setTimeout(passed, random(60))),
    ];
    for (let step = 0; step < 300; step++) await acts[random(acts.length)](devices[random(3)]);
    for (const device of devices) if (!device.isOnline) device.connect();
    await agree(...devices);
    const conflicts = devices.flatMap((device) => device.conflicts);
    assert((await stored("tasks")).length > 3 && conflicts.length > 0);
  },
};

await scenarios[scenario]();
process.exit();
