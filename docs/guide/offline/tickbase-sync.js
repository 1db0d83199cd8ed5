// A copy of what a user has, in IndexedDB, and a queue of what was written without a connection. No libraries.
//
//   const copy = await open({ name: "tickbase-7", url: `${BASE}/api/7`, fetch: authorizedFetch });
//   await copy.write("task", crypto.randomUUID(), { title: "Buy stamps" }); // shown at once, sent by the next sync
//   await copy.sync(); // call it when the page opens, every few seconds, and on the event "online"
//   await copy.all("task");

/** @param {IDBRequest} request */
const result = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

const plural = (type) => `${type}s`;
const isOf = (type, uid) => (entry) => entry.type === type && entry.uid === uid;

class Unavailable extends Error {} // no answer, or one that may be better later: sync again

/**
 * One copy per user: the name is that of its database. `onRefused(entry, problem)` tells of a write that did not take
 * effect: another device was faster (412, `problem.current` is the object now), or it is not valid. To merge, write again.
 */
export async function open({ name, url, fetch, onRefused = () => {} }) {
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore("objects", { keyPath: ["type", "uid"] });
    request.result.createObjectStore("queue", { keyPath: "key", autoIncrement: true });
    request.result.createObjectStore("state");
  };
  const database = await result(request);

  /** Runs `work` in one transaction; resolves once it is stored. */
  async function transaction(mode, work) {
    const opened = database.transaction(["objects", "queue", "state"], mode, { durability: "strict" });
    const done = new Promise((resolve, reject) => {
      opened.oncomplete = resolve;
      opened.onabort = () => reject(opened.error);
    });
    const [objects, queue, state] = ["objects", "queue", "state"].map((store) => opened.objectStore(store));
    const found = await work({ objects, queue, state });
    await done;
    return found;
  }

  /** What the server has, with what waits here on top of it. */
  async function keep({ objects, queue }, type, uid, object) {
    const waiting = (await result(queue.getAll())).filter(isOf(type, uid));
    const shown = waiting.reduce((known, { body }) => body && { ...known, ...body }, object);
    if (shown) objects.put({ type, uid, object: { ...shown, uid } });
    else objects.delete([type, uid]);
  }

  /** Changes members of an object, or creates it; without members, deletes it. */
  const write = (type, uid, body = null) =>
    transaction("readwrite", async (stores) => {
      const known = (await result(stores.objects.get([type, uid])))?.object;
      const method = !body ? "DELETE" : known ? "PATCH" : "PUT";
      await result(stores.queue.add({ type, uid, method, body, version: known?.version, id: crypto.randomUUID() }));
      await keep(stores, type, uid, known);
    });

  async function send(method, path, body, headers = {}) {
    const options = { method, headers: { "Content-Type": "application/json", ...headers } };
    const answer = await fetch(url + path, body ? { ...options, body: JSON.stringify(body) } : options).catch(() => null);
    const mayBeBetterLater = !answer || answer.status >= 500 || [401, 408, 429].includes(answer.status);
    const content = mayBeBetterLater || [204, 304].includes(answer.status) ? null : await answer.json().catch(() => undefined);
    if (mayBeBetterLater || content === undefined || content?.code === "idempotency_key_in_flight") throw new Unavailable();
    return { status: answer.status, content, tag: answer.headers.get("ETag") };
  }

  /** Sends what waits, in its order. An answer that got lost comes again, by the Idempotency-Key. */
  async function push() {
    for (;;) {
      const [entry] = await transaction("readonly", ({ queue }) => result(queue.getAll(null, 1)));
      if (!entry) return;
      const { key, type, uid, method, body, version, id } = entry;
      const path = `/${plural(type)}/by-uid/${encodeURIComponent(uid)}`;
      const condition = version ? { "If-Match": `"${version}"` } : {};
      const { status, content } = await send(method, path, body, { "Idempotency-Key": id, ...condition });
      const isDone = status < 300 || (method === "DELETE" && status === 404);
      const current = isDone ? content : (await send("GET", path)).content;
      await transaction("readwrite", async (stores) => {
        const same = (await result(stores.queue.getAll())).filter(isOf(type, uid));
        stores.queue.delete(key);
        // What was written here meanwhile is upon this version now.
        if (isDone && content) for (const later of same.slice(1)) stores.queue.put({ ...later, version: content.version });
        await keep(stores, type, uid, current?.uid === uid ? current : undefined);
      });
      if (!isDone) onRefused(entry, content);
    }
  }

  /** Follows the changes, page by page; each is stored together with its cursor. */
  async function pull() {
    for (let more = true; more; ) {
      const [cursor, known] = await transaction("readonly", ({ state }) =>
        Promise.all(["cursor", "tag"].map((member) => result(state.get(member)))),
      );
      const headers = known ? { "If-None-Match": known } : {};
      const { status, content, tag } = await send("GET", cursor ? `/changes?since=${cursor}` : "/changes", null, headers);
      if (status === 304) return;
      if (status !== 200 && status !== 410) throw Object.assign(new Error(content.detail), content);
      await transaction("readwrite", async (stores) => {
        if (status === 410) {
          stores.state.clear();
          stores.objects.clear();
          for (const { type, uid } of await result(stores.queue.getAll())) await keep(stores, type, uid);
          return;
        }
        for (const { type, object, uid } of content.changes) await keep(stores, type, object?.uid ?? uid, object);
        stores.state.put(content.cursor, "cursor");
        stores.state.put(tag, "tag");
      });
      more = status === 410 || content.more;
    }
  }

  return {
    write,
    /** One tab at a time. Returns whether the server was there. */
    sync: () =>
      navigator.locks.request(name, () =>
        push()
          .then(pull)
          .then(() => true)
          .catch((error) => {
            if (error instanceof Unavailable) return false;
            throw error;
          }),
      ),
    get: async (type, uid) => (await transaction("readonly", ({ objects }) => result(objects.get([type, uid]))))?.object,
    all: async (type) =>
      (await transaction("readonly", ({ objects }) => result(objects.getAll(IDBKeyRange.bound([type], [type, []]))))).map(
        ({ object }) => object,
      ),
    close: () => database.close(),
  };
}
