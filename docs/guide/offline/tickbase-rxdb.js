// RxDB with Tickbase as its server: schemas, replication, and a handler that merges what two devices have changed.
import { addRxPlugin, deepEqual } from "rxdb/plugins/core";
import { RxDBLeaderElectionPlugin } from "rxdb/plugins/leader-election";
import { replicateRxCollection } from "rxdb/plugins/replication";
import { Subject } from "rxjs";

addRxPlugin(RxDBLeaderElectionPlugin); // of all tabs, one replicates

const text = { type: "string" };
const whole = { type: "integer" };
const nullable = (type) => ({ type: [type, "null"] });

// What documents of both have. A new one needs none of it but the uid.
const common = {
  uid: { ...text, maxLength: 255 },
  id: whole,
  user_id: text,
  parent_id: nullable("integer"),
  parent_uid: nullable("string"),
  position: text,
  extra: { type: "object" },
  created_at: text,
  updated_at: text,
  version: whole,
};

const schema = (required, properties) => ({
  version: 0,
  primaryKey: "uid",
  type: "object",
  properties: { ...common, ...properties },
  required: ["uid", required],
});

export const tasks = schema("title", {
  title: text,
  description: text,
  status: text,
  completed: { type: "boolean" },
  priority: text,
  tags: { type: "array", items: text },
  due_date: nullable("string"),
  due_at: nullable("string"),
  completed_at: nullable("string"),
  project_id: nullable("integer"),
  project_uid: nullable("string"),
  recurrence: nullable("object"),
  reminders: { type: "array", items: { type: "object" } },
  completions: whole,
  last_completed_at: nullable("string"),
});

export const projects = schema("name", {
  name: text,
  description: text,
  color: nullable("string"),
  archived: { type: "boolean" },
  archived_at: nullable("string"),
});

/** Merges what two devices have changed. Of the same member, and of what one has deleted, the server's state stays. */
export const conflictHandler = {
  isEqual: deepEqual,
  resolve({ newDocumentState: mine, assumedMasterState: known, realMasterState: theirs }) {
    // The server has what this device knows: it has refused the change.
    if (!known || theirs._deleted || mine._deleted || theirs.version === known.version) return theirs;
    const isMine = (name) => !deepEqual(mine[name], known[name]) && deepEqual(theirs[name], known[name]);
    return { ...theirs, ...Object.fromEntries(Object.keys(mine).filter(isMine).map((name) => [name, mine[name]])) };
  },
};

async function read(response) {
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error(answer.detail), answer);
  return answer;
}

/** Replicates a collection that is called as its resource, `tasks` or `projects`. `url` ends with the user's id,
 *  `after` is the replication of what its documents refer to, and other options are RxDB's. */
export function replicate({ collection, url, fetch, changed$, after, ...options }) {
  const place = `${url}/sync/${collection.name}/0`;
  const pull = (checkpoint, limit) =>
    fetch(`${place}/pull?lwt=${checkpoint?.lwt ?? 0}&id=${checkpoint?.id ?? ""}&limit=${limit}`);

  /** All that the server has, and as deleted what it has not. RxDB leaves alone what is still to be pushed. */
  async function everything() {
    const limit = 1000, documents = [];
    let page;
    do {
      page = await read(await pull(page?.checkpoint, limit));
      documents.push(...page.documents);
    } while (page.documents.length === limit);
    const uids = new Set(documents.map(({ uid }) => uid));
    for (const document of await collection.find().exec())
      if (!uids.has(document.uid)) documents.push({ ...document.toJSON(), _deleted: true });
    return { ...page, documents };
  }

  /** What a document refers to may be on its way. If it is not there then, it was refused: send it without. */
  async function push(rows, hasWaited = false) {
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch(`${place}/push`, { method: "POST", headers, body: JSON.stringify(rows) });
    if (answer.status !== 409) return read(answer);
    const { code, detail, errors } = await answer.json();
    if (code !== "reference_not_stored") throw new Error(detail);
    if (!hasWaited) await after?.awaitInSync();
    const [, row, , member] = errors[0].pointer.split("/");
    const newDocumentState = { ...rows[row].newDocumentState, [member]: null };
    return push(hasWaited ? rows.with(Number(row), { ...rows[row], newDocumentState }) : rows, true);
  }

  const replication = replicateRxCollection({
    ...options,
    collection,
    replicationIdentifier: place,
    pull: {
      async handler(checkpoint, limit) {
        const response = await pull(checkpoint, limit);
        // 410: away for too long, or a restored backup.
        const page = response.status === 410 ? await everything() : await read(response);
        // RxDB passes over documents that it is still pushing; these may be the state after that push.
        await replication.internalReplicationState?.streamQueue.up;
        return page;
      },
      stream$: changed$,
    },
    push: { handler: (rows) => push(rows) },
  });
  return replication;
}

/** Tells the collections of all tabs when something has changed on the server, by one stream. */
export function follow({ database, url, fetch }) {
  const changed$ = new Subject();
  let source, timer, ended = false;
  async function open() {
    try {
      const answer = await fetch(`${url}/stream/tickets`, { method: "POST" });
      if (ended || answer.status === 404) return; // the operator has switched streams off: call reSync() now and then
      const { ticket } = await read(answer);
      source = new EventSource(`${url}/sync/tasks/0/pullStream?ticket=${encodeURIComponent(ticket)}`);
      source.onmessage = ({ data }) => changed$.next(JSON.parse(data));
      source.addEventListener("expired", () => again(0));
      source.onerror = () => again(2000);
    } catch {
      again(10000);
    }
  }
  function again(milliseconds) {
    source?.close();
    clearTimeout(timer);
    if (!ended) timer = setTimeout(open, milliseconds * (0.75 + Math.random() / 2));
  }
  database.waitForLeadership().then(open);
  const end = () => {
    ended = true;
    again(0);
  };
  return { changed$: changed$.asObservable(), end };
}
