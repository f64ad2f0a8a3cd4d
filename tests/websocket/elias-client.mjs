// A program with elias/client, over `ws` of npm.
//
// `node elias-client.mjs URL` does what each line of its input says (`url URL` for the next connection, `call METHOD
// ARGUMENTS` with the list as JSON, `subscribe TOPIC`), and writes what comes: `answer JSON`, `error NAME: MESSAGE`,
// `event JSON`, `state STATE`.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { connect } from "../../guest-js/sdk/client/client.js";

const require = createRequire(import.meta.url);
const { WebSocket } = require(process.env.ELIAS_TEST_NODE_WS ?? "ws");

const say = (line) => process.stdout.write(`${line}\n`);
const shown = (value) => JSON.stringify(value, (_, item) => (item instanceof Map ? [...item] : item));

let [, , url] = process.argv;
class Socket extends WebSocket {
  constructor(_, protocols) {
    super(url, protocols);
  }
}

const client = connect(url, { credentials: "secret", WebSocket: Socket });
for (const state of ["open", "waiting", "reset", "closed"]) client.addEventListener(state, () => say(`state ${state}`));
async function tell(promise) {
  try {
    say(`answer ${shown(await promise) ?? "undefined"}`);
  } catch (error) {
    say(`error ${error.name}: ${error.message}`);
  }
}

createInterface({ input: process.stdin }).on("line", (line) => {
  const [command, what, ...rest] = line.split(" ");
  if (command === "url") url = what;
  else if (command === "call") tell(client.call(what, ...JSON.parse(rest.join(" "))));
  else if (command === "subscribe") tell(client.subscribe(what, (value) => say(`event ${shown(value)}`)));
  else throw new Error(`no such command: ${command}`);
});
