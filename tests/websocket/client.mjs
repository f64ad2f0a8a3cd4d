// A client by `ws` of npm, which the tests run beside client.py: the same commands and the same output.
//
// `node client.mjs URL [SUBPROTOCOL]` says `open PROTOCOL EXTENSIONS`, or `refused STATUS`; does what each line of its
// input says (`text TEXT`, `hex BYTES`, `size N` for a text of that length, `fragments A B ...`, `ping`, `close CODE
// REASON`), and writes what comes: `text TEXT`, `hex BYTES`, `size N`, `pong`, `closed CODE REASON`.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(import.meta.url);
const { WebSocket } = require(process.env.ELIAS_TEST_NODE_WS ?? "ws");

const [, , url, protocol] = process.argv;
const say = (line) => process.stdout.write(`${line}\n`);
// Longer texts are told by their length.
const SHOWN_MAX = 1_000;

const socket = new WebSocket(url, protocol === undefined ? [] : [protocol], { maxPayload: 1 << 24 });
socket.on("unexpected-response", (_, { statusCode }) => {
  say(`refused ${statusCode}`);
  process.exit(0);
});
socket.on("error", () => {});
socket.on("pong", () => say("pong"));
socket.on("message", (data, isBinary) => {
  if (isBinary) say(`hex ${data.toString("hex")}`);
  else if (data.length > SHOWN_MAX) say(`size ${data.length}`);
  else say(`text ${data}`);
});
socket.on("close", (code, reason) => {
  say(`closed ${code} ${reason}`.trim());
  process.exit(0);
});
socket.on("open", () => {
  say(`open ${socket.protocol || "-"} ${socket.extensions || "-"}`);
  createInterface({ input: process.stdin }).on("line", (line) => {
    const [command, ...words] = line.split(" ");
    const rest = words.join(" ");
    if (command === "text") socket.send(rest);
    else if (command === "hex") socket.send(Buffer.from(rest, "hex"));
    else if (command === "size") socket.send("x".repeat(Number(rest)));
    else if (command === "ping") socket.ping("here");
    else if (command === "close") socket.close(Number(words[0]), words.slice(1).join(" "));
    else if (command === "fragments") words.forEach((word, at) => socket.send(word, { fin: at === words.length - 1 }));
    else throw new Error(`no such command: ${command}`);
  });
});
