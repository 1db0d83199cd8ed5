/** Answers the cases on stdin: `[low, high]` with a key between the two, `[low, high, count]` with so many. */

import { readFileSync } from "node:fs";

import { generateKeyBetween, generateNKeysBetween } from "fractional-indexing";

const cases = JSON.parse(readFileSync(0, "utf8"));
const answers = cases.map(([low, high, count]) =>
  count === undefined ? generateKeyBetween(low, high) : generateNKeysBetween(low, high, count),
);
process.stdout.write(JSON.stringify(answers));
