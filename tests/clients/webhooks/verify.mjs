// Reads [{secret, headers, body}] and prints what the library makes of each: the event, or its error.
import { Webhook } from "standardwebhooks";

let sent = "";
for await (const piece of process.stdin) sent += piece;
const results = JSON.parse(sent).map(({ secret, headers, body }) => {
  try {
    return new Webhook(secret).verify(body, headers);
  } catch (error) {
    return error.message;
  }
});
console.log(JSON.stringify(results));
