// What a browser has and Node has not; the guide's code takes it for granted.
import "fake-indexeddb/auto";

import { EventSource } from "eventsource";

const kept = new Map();
globalThis.localStorage = {
  getItem: (name) => kept.get(name) ?? null,
  setItem: (name, value) => kept.set(name, value),
  removeItem: (name) => kept.delete(name),
};
Object.defineProperty(globalThis, "navigator", { value: { locks: { request: (...options) => options.at(-1)({}) } } });
globalThis.EventSource = EventSource;
