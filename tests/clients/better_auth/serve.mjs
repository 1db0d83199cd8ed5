// Better Auth as its documentation sets it up: e-mail and password, and the JWT plugin. Kept in memory.
import { createServer } from "node:http";

import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { toNodeHandler } from "better-auth/node";
import { jwt } from "better-auth/plugins";

const port = Number(process.argv[2]);
const auth = betterAuth({
  baseURL: `http://127.0.0.1:${port}`,
  secret: "only for this test, and at least 32 long",
  database: memoryAdapter({ user: [], session: [], account: [], verification: [], jwks: [] }),
  emailAndPassword: { enabled: true },
  plugins: [jwt()],
});

process.stdin.resume().on("end", () => process.exit()); // whoever started this is gone
createServer(toNodeHandler(auth)).listen(port, "127.0.0.1", () => console.log("listening"));
