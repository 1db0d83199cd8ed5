/**
 * Three replicas of a user's tasks that move them offline and in turns, with positions of `fractional-indexing`.
 *
 * Each has a copy, moves tasks in it at random, and then sends what it has done, with If-Match; what the server refuses
 * is given up, and the server's state taken. In the end all must have the same trees in the same order.
 */

import assert from "node:assert/strict";

import { generateKeyBetween } from "fractional-indexing";

const [base, email, seed, moves] = process.argv.slice(2);
assert(base && email && seed && moves, "usage: replicas.mjs <base url> <e-mail of a new account> <seed> <moves>");

const MAX_DEPTH = 5;
const MAX_LENGTH = 100;
const PAGE = 200;
const SESSION = 12; // moves that a replica makes offline, at most
// What a move may meet, since another replica was faster, by status.
const CONFLICTS = {
  400: ["cycle", "too_deep", "unknown_parent", "unknown_sibling", "project_follows_parent"],
  412: ["stale_version"],
};

/** Mulberry32. */
function randomFrom(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const random = randomFrom(Number(seed));
const below = (count) => Math.floor(random() * count);
const pick = (values) => values[below(values.length)];

let authorization;

async function call(method, path, body, version) {
  const headers = { "Content-Type": "application/json", ...(authorization && { Authorization: authorization }) };
  if (version !== undefined) headers["If-Match"] = `"${version}"`;
  const answer = await fetch(`${base}/api/${path}`, { method, headers, body: body && JSON.stringify(body) });
  return { status: answer.status, link: answer.headers.get("Link"), body: await answer.json() };
}

async function created(path, body) {
  const answer = await call("POST", path, body);
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return answer.body;
}

async function list() {
  const tasks = [];
  for (let path = `me/tasks?limit=${PAGE}`; path; ) {
    const { status, body, link } = await call("GET", path);
    assert.equal(status, 200, JSON.stringify(body));
    tasks.push(...body);
    const next = link?.match(/<([^>]+)>; rel="next"/)[1];
    path = next && `me/${next.slice(next.indexOf("tasks"))}`;
  }
  return tasks;
}

const byPlace = (one, other) =>
  one.position === other.position ? one.id - other.id : one.position < other.position ? -1 : 1;

/** A copy of the tasks by uid, and the requests that were not sent yet. */
class Replica {
  tasks = new Map();
  pending = [];
  counts = { made: 0, stored: 0, refused: {} };

  byId(id) {
    return this.all().find((task) => task.id === id);
  }

  all() {
    return [...this.tasks.values()];
  }

  children(parent, projectId) {
    const siblings = this.all().filter((task) =>
      parent ? task.parent_uid === parent.uid : task.parent_uid === null && task.project_id === projectId,
    );
    return siblings.sort(byPlace);
  }

  subtree(task) {
    return [task, ...this.children(task).flatMap((child) => this.subtree(child))];
  }

  height(task) {
    return 1 + Math.max(0, ...this.children(task).map((child) => this.height(child)));
  }

  depth(task) {
    return task ? 1 + this.depth(this.tasks.get(task.parent_uid)) : 0;
  }

  /** The flat list, as a screen shows it. */
  outline() {
    const roots = [null, ...projects].flatMap((projectId) => this.children(null, projectId));
    return roots.flatMap((root) => this.subtree(root)).map(({ uid, parent_uid, project_id, position }) => {
      return [uid, parent_uid, project_id, position].join(" ");
    });
  }

  /** A place among these siblings; null where only the server can make one. */
  placeAmong(siblings) {
    const place = below(siblings.length + 1);
    const [low, high] = [siblings[place - 1], siblings[place]];
    const isTie = low && high && low.position === high.position;
    const position = isTie ? null : generateKeyBetween(low?.position ?? null, high?.position ?? null);
    return { low, high, position: position?.length > MAX_LENGTH ? null : position };
  }

  move(task) {
    const kind = random();
    const parents = this.all().filter((other) => {
      const isWithin = this.subtree(task).includes(other);
      return !isWithin && this.depth(other) + this.height(task) <= MAX_DEPTH;
    });
    if (kind < 0.5 || parents.length === 0) return this.put(task, this.tasks.get(task.parent_uid), task.project_id, {});
    if (kind < 0.8) return this.nest(task, pick(parents));
    const projectId = pick([null, ...projects]);
    return this.put(task, undefined, projectId, { parent_id: null, project_id: projectId });
  }

  nest(task, parent) {
    this.put(task, parent, parent.project_id, { parent_uid: parent.uid });
  }

  /** Put a task somewhere, by PATCH with a position, or by a move beside a sibling that has an id already. */
  put(task, parent, projectId, changes) {
    const siblings = this.children(parent, projectId).filter((other) => other !== task);
    const { low, high, position } = this.placeAmong(siblings);
    const near = [low?.id && { after_id: low.id }, high?.id && { before_id: high.id }].filter(Boolean);
    const byServer = task.id && (position === null || random() < 0.3);
    if (position === null && !byServer) return;
    this.pending.push(
      byServer
        ? { method: "POST", uid: task.uid, path: "/move", body: { ...changes, ...(near.length ? pick(near) : {}) } }
        : { method: "PATCH", uid: task.uid, path: "", body: { ...changes, position } },
    );
    task.parent_uid = parent?.uid ?? null;
    task.position = position ?? low.position;
    for (const each of this.subtree(task)) each.project_id = projectId;
    this.counts.made += 1;
  }

  create() {
    const parents = this.all().filter((other) => this.depth(other) < MAX_DEPTH);
    const parent = random() < 0.7 ? pick(parents) : undefined;
    const { position } = this.placeAmong(this.children(parent, null));
    if (position === null) return;
    const uid = `made-${(names += 1)}`;
    const task = { uid, parent_uid: parent?.uid ?? null, project_id: parent?.project_id ?? null, position };
    this.tasks.set(uid, task);
    this.pending.push({ method: "CREATE", body: { title: uid, uid, parent_uid: task.parent_uid, position } });
  }

  async send({ method, uid, path, body }) {
    if (method === "CREATE") {
      let answer = await call("POST", "me/tasks", body);
      // Its parent may be too deep by now: then it goes to the root, as nothing that was written may be lost.
      if (answer.status === 400) answer = await call("POST", "me/tasks", { ...body, parent_uid: null });
      assert.equal(answer.status, 201, JSON.stringify(answer.body));
      return this.take(answer.body);
    }
    const task = this.tasks.get(uid);
    const address = path ? `me/tasks/${task.id}${path}` : `me/tasks/by-uid/${uid}`;
    const answer = await call(method, address, body, task.version);
    if (answer.status === 200) {
      this.counts.stored += 1;
      return this.take(answer.body);
    }
    const { current, errors } = answer.body;
    const code = errors ? errors[0].code : answer.body.code;
    assert(CONFLICTS[answer.status]?.includes(code), `${method} ${address} ${JSON.stringify([body, answer.body])}`);
    this.counts.refused[code] = (this.counts.refused[code] ?? 0) + 1;
    if (current) this.take(current);
  }

  /** The server's state of a task. What changed with it is read with the next list. */
  take(found) {
    const task = this.tasks.get(found.uid) ?? {};
    const parent = found.parent_id === null ? null : this.byId(found.parent_id);
    Object.assign(task, found, { parent_uid: parent && parent.uid });
    this.tasks.set(found.uid, task);
  }

  async sync() {
    for (const request of this.pending) await this.send(request);
    this.pending = [];
    const found = await list();
    const uids = new Map(found.map((task) => [task.id, task.uid]));
    this.tasks = new Map(found.map((task) => [task.uid, { ...task, parent_uid: uids.get(task.parent_id) ?? null }]));
  }
}

const { access } = await created("auth/register", { email, password: "correct horse battery", name: "Ada" });
authorization = `Bearer ${access}`;
const projects = [];
for (const name of ["Home", "Work"]) projects.push((await created("me/projects", { name })).id);
let names = 0;
const crowded = ["a1", `a1${"V".repeat(98)}`, `a1${"V".repeat(97)}W`]; // without room between the last two
for (const position of [...Array(25).fill(undefined), "a0", "a0", ...crowded]) {
  const uid = `made-${(names += 1)}`;
  await created("me/tasks", { title: uid, uid, ...(position && { position }) });
}

const replicas = [new Replica(), new Replica(), new Replica()];
for (const replica of replicas) await replica.sync();

/** Two replicas that nest two tasks into each other: only one of them can have its way. */
function collide(one, other) {
  const roots = one.all().filter((task) => task.parent_uid === null && one.height(task) === 1);
  const [first, second] = [pick(roots), pick(roots)];
  if (first === second || ![first, second].every((task) => other.tasks.get(task.uid)?.parent_uid === null)) return;
  one.nest(first, second);
  other.nest(other.tasks.get(second.uid), other.tasks.get(first.uid));
}

const made = () => replicas.reduce((sum, { counts }) => sum + counts.made, 0);

while (made() < Number(moves)) {
  // In turns for a while, then all of them offline at once.
  const online = random() < 0.3 ? [pick(replicas)] : replicas;
  if (online === replicas && random() < 0.3) collide(replicas[0], replicas[1]);
  for (const replica of online) {
    const until = Math.min(replica.counts.made + 1 + below(SESSION), replica.counts.made + Number(moves) - made());
    while (replica.counts.made < until) {
      if (random() < 0.05) replica.create();
      replica.move(pick(replica.all()));
    }
  }
  const order = [...online].sort(() => random() - 0.5);
  for (const replica of order) await replica.sync();
}
for (const replica of replicas) await replica.sync();
for (const replica of replicas) await replica.sync(); // what the last one has sent

const stored = await list();
const server = new Replica();
await server.sync();
const expected = server.outline();
for (const replica of replicas) assert.deepEqual(replica.outline(), expected);
// An outline begins at the roots: what is lost, or in a cycle, is not in it.
assert.equal(stored.length, names);
assert.deepEqual(expected.map((line) => line.split(" ")[0]).sort(), stored.map((task) => task.uid).sort());
for (const task of server.all()) {
  assert(server.depth(task) <= MAX_DEPTH, `${task.uid} is too deep`);
  assert(task.position.length <= MAX_LENGTH);
  const parent = server.tasks.get(task.parent_uid);
  if (parent) assert.equal(task.project_id, parent.project_id);
}

const refused = {};
for (const { counts } of replicas) {
  for (const [code, count] of Object.entries(counts.refused)) refused[code] = (refused[code] ?? 0) + count;
}
const counted = replicas.reduce((sum, { counts }) => sum + counts.stored, 0);
console.log(JSON.stringify({ moves: made(), stored: counted, refused, tasks: stored.length }));
