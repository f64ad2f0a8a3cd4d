// elias/client and elias/clients together, over sockets that break when a test says so.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { clientsOf } from "../client/clients.js";
import { Client, ClosedError, connect } from "../client/client.js";
import { written } from "../client/clone.build.mjs";
import { decode, encode } from "../client/clone.js";

/** Lets everything that is under way happen. */
const settle = async () => {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

/**
 * A worker whose sockets are those of this process, and a class of client sockets that lead to it. `closeCodeOf` gives
 * the code with which the host closes a socket for a text, in place of having the worker handle it.
 */
function world(Room, closeCodeOf = () => undefined) {
  const room = new Room();
  const links = new Set();
  let lastId = 0;
  let mailbox = Promise.resolve();
  const turn = (run) => {
    mailbox = mailbox.then(run);
  };
  class WebSocket {
    constructor(url, protocols) {
      this.url = url;
      links.add(this);
      this.handle = {
        id: `s${(lastId += 1)}`,
        data: {},
        send: (text) => this.deliver(text),
        // One that the worker has closed is closed: the second time throws.
        close: (code, reason) => {
          if (this.isClosed) throw new Error("socket.close: the socket is closed");
          this.isClosed = true;
          this.drop(code, reason);
        },
      };
      turn(() => {
        if (this.isOver) return;
        room.onOpen(this.handle, { url, protocol: protocols[0] });
        this.onopen();
      });
    }
    /** The worker sent something, which may be lost with the connection. */
    deliver(data) {
      if (!this.isOver) setImmediate(() => this.isBroken || this.isDeaf || this.onmessage({ data }));
    }
    /** The connection ends, as both see it. */
    drop(code, reason = "") {
      if (this.isOver) return;
      this.isOver = true;
      this.isBroken = code === 1006;
      links.delete(this);
      setImmediate(() => this.onclose({ code, reason }));
      turn(() => room.onClose(this.handle, code, reason));
    }
    send(text) {
      if (this.isOver) return;
      // What the host has read is handled, also after the message that it closes the socket for.
      turn(() => {
        if (this.isClosed) return undefined;
        const code = closeCodeOf(text);
        return code === undefined ? room.onWebSocketMessage(this.handle, text) : this.drop(code);
      });
    }
    close(code = 1000, reason) {
      this.drop(code, reason);
    }
  }
  const timers = [];
  const setTimeout = (run) => timers.push(run);
  const options = { WebSocket, setTimeout, clearTimeout() {} };
  return {
    room,
    links,
    client: (more) => connect("ws://here/workers/Room/a", { ...options, ...more }),
    breakAll: () => [...links].forEach((link) => link.drop(1006)),
    /** What the worker sends does not arrive any more. */
    deafen: () => links.forEach((link) => (link.isDeaf = true)),
    wait: () => timers.splice(0).forEach((run) => run()),
  };
}

class Worker {}

class Room extends clientsOf(Worker) {
  static methods = ["add", "fail", "whoami", "say", "sayOften", "missing"];
  static topics = ["said"];
  count = 0;
  add(amount) {
    this.count += amount;
    return new Map([["count", this.count]]);
  }
  fail(message) {
    throw new RangeError(message);
  }
  whoami() {
    return this.client.user;
  }
  say(text) {
    this.publish("said", { text, at: new Date(0) });
  }
  sayOften(times) {
    for (let time = 0; time < times; time += 1) this.say(`${time}`);
  }
  secret() {}
  onMessage(message, { user }) {
    return [message, user];
  }
}

test("clone.js is what the components' module gives", () => {
  assert.equal(readFileSync(new URL("../client/clone.js", import.meta.url), "utf8"), written());
  const value = { map: new Map([[1n, new Set(["a"])]]), date: new Date(5), bytes: new Uint8Array([1, 2]) };
  value.self = value;
  const copy = decode(encode(value));
  assert.equal(copy.self, copy);
  assert.deepEqual([copy.map, copy.date, copy.bytes], [value.map, value.date, value.bytes]);
});

test("calls, messages and errors come back as they were", async () => {
  const { client } = world(Room);
  const room = client();
  const early = room.call("add", 2);
  assert.deepEqual(await early, new Map([["count", 2]]));
  assert.equal(room.state, "open");
  assert.deepEqual(await room.methods.add(3), new Map([["count", 5]]));
  await assert.rejects(room.call("fail", "too much"), { name: "RangeError", message: "too much" });
  assert.deepEqual(await room.send({ any: "message" }), [{ any: "message" }, null]);
  for (const hidden of ["secret", "authenticate", "publish", "constructor", "onWebSocketMessage", "missing"]) {
    await assert.rejects(room.call(hidden), { name: "TypeError", message: `clients cannot call ${hidden}` });
  }
  assert.throws(() => room.call("add", () => 1), { name: "DataCloneError" });
});

test("what had no answer is handled once, however often the connection is lost", async () => {
  const { client, room, breakAll, deafen, wait } = world(Room);
  const one = client();
  await one.call("add", 1);
  // The worker handles it, and its answer is lost.
  deafen();
  const answer = one.call("add", 1);
  await settle();
  assert.equal(room.count, 2);
  breakAll();
  await settle();
  assert.equal(one.state, "waiting");
  const waiting = one.call("add", 1);
  wait();
  assert.deepEqual([await answer, await waiting], [new Map([["count", 2]]), new Map([["count", 3]])]);
  assert.equal(room.count, 3);
  const [session] = room.clientSessions.values();
  await one.call("add", 0);
  await settle();
  assert.ok(session.waiting.length <= 2, "what was received is forgotten");
});

test("a request that the host closes the connection for is rejected, and those after it are handled", async () => {
  const closeCodeOf = (text) => (text.includes("endless") ? 1011 : text.length > 1_000 ? 1009 : undefined);
  const { client, room, wait } = world(Room, closeCodeOf);
  const one = client();
  await one.call("add", 1);
  const before = one.call("add", 1);
  const failed = assert.rejects(one.call("endless"), { name: "ClosedError", code: 1011 });
  const after = one.call("add", 1);
  assert.deepEqual(await before, new Map([["count", 2]]));
  await settle();
  assert.equal(one.state, "waiting");
  wait();
  await failed;
  assert.deepEqual(await after, new Map([["count", 3]]));
  const large = assert.rejects(one.send("é".repeat(1_000)), { name: "ClosedError", code: 1009 });
  const last = one.call("add", 1);
  await settle();
  wait();
  await large;
  assert.deepEqual([await last, room.count], [new Map([["count", 4]]), 4]);
});

test("a subscription goes on, and what was missed follows", async () => {
  const { client, breakAll, wait } = world(Room);
  const [one, two] = [client(), client()];
  const said = [];
  const end = await one.subscribe("said", ({ text, at }) => said.push([text, at.getTime()]));
  await two.call("say", "a");
  await settle();
  breakAll();
  await settle();
  // The second comes back first, and says something.
  const later = two.call("say", "b");
  wait();
  await later;
  await settle();
  assert.deepEqual(said, [["a", 0], ["b", 0]]);
  await end();
  await two.call("say", "c");
  await settle();
  assert.equal(said.length, 2);
  await assert.rejects(one.subscribe("other", () => {}), /unknown topic other/);
});

test("credentials are asked for each connection, and the worker refuses some", async () => {
  class Private extends Room {
    async authenticate(token) {
      if (token !== "secret") throw new RangeError("the token is not valid");
      return { name: "ada" };
    }
  }
  const { client, breakAll, wait } = world(Private);
  let token = "secret";
  const one = client({ credentials: async () => token });
  assert.deepEqual(await one.call("whoami"), { name: "ada" });
  token = "old";
  await one.call("add", 1);
  breakAll();
  await settle();
  const waiting = assert.rejects(one.call("add", 1), { name: "RangeError", message: "the token is not valid" });
  wait();
  await waiting;
  assert.deepEqual([one.state, one.error.name], ["closed", "RangeError"]);
  await assert.rejects(one.call("add", 1), ClosedError);
});

test("a client that is too far behind begins anew", async () => {
  class Short extends Room {
    static waiting = 3;
  }
  const { client, room, breakAll, wait } = world(Short);
  const one = client();
  const said = [];
  await one.subscribe("said", ({ text }) => said.push(text));
  breakAll();
  await settle();
  for (let number = 0; number < 10; number += 1) room.publish("said", { text: number, at: new Date() });
  let resets = 0;
  one.addEventListener("reset", () => (resets += 1));
  const waiting = one.call("add", 1);
  wait();
  assert.deepEqual(await waiting, new Map([["count", 1]]));
  room.publish("said", { text: "new", at: new Date() });
  await settle();
  assert.deepEqual([said, resets], [["new"], 1]);
});

test("a call that sends its own client too much ends the session, and is not undone", async () => {
  class Short extends Room {
    static waiting = 10;
    sayOften(times) {
      this.count += 1;
      super.sayOften(times);
    }
  }
  const { client, room, wait } = world(Short);
  const one = client();
  await one.subscribe("said", () => {});
  const lost = assert.rejects(one.call("sayOften", 12), { name: "ClosedError" });
  await settle();
  wait();
  await lost;
  assert.deepEqual(await one.call("add", 0), new Map([["count", 1]]));
  assert.equal(room.clientSessions.size, 1);
});

test("the characters that wait for a client are bounded", async () => {
  class Short extends Room {
    static waitingCharacters = 2_000;
  }
  const { client, room, breakAll } = world(Short);
  await client().subscribe("said", () => {});
  breakAll();
  await settle();
  room.publish("said", "a".repeat(1_000));
  assert.equal(room.clientSessions.size, 1);
  room.publish("said", "a".repeat(1_000));
  assert.equal(room.clientSessions.size, 0);
});

test("sessions are bounded, and one whose client stays away makes room for another", async (context) => {
  class Small extends Room {
    static sessions = 1;
  }
  context.mock.timers.enable({ apis: ["Date"] });
  const { client, room, breakAll, wait } = world(Small);
  await client().call("add", 1);
  const late = client();
  const answer = late.call("add", 1);
  await settle();
  assert.deepEqual([late.state, room.clientSessions.size], ["waiting", 1]);
  breakAll();
  await settle();
  context.mock.timers.tick(Small.sessionMs);
  wait();
  await settle();
  // The first has come back, in time; the second is still too much.
  assert.deepEqual([late.state, room.clientSessions.size], ["waiting", 1]);
  breakAll();
  await settle();
  context.mock.timers.tick(Small.sessionMs + 1);
  wait();
  assert.deepEqual(await answer, new Map([["count", 2]]));
});

test("a session is its user's alone, and has one connection", async () => {
  class Named extends Room {
    authenticate(name) {
      return name;
    }
  }
  const { room, links, client } = world(Named);
  const one = client({ credentials: "ada" });
  await one.call("add", 1);
  const [{ id }] = room.clientSessions.values();
  const raw = async (credentials) => {
    const sent = [];
    const send = (text) => sent.push(JSON.parse(text));
    const handle = { id: "raw", data: {}, send, close: (code) => sent.push(code) };
    await room.onWebSocketMessage(handle, JSON.stringify(["hello", 0, id, encode(credentials)]));
    return sent;
  };
  const [[, other]] = await raw("bob");
  assert.notEqual(other, id);
  const [[, same]] = await raw("ada");
  assert.equal(same, id);
  await settle();
  assert.equal(one.state, "closed");
  assert.equal(links.size, 0);
});

test("a connection says hello once, and has one session", async () => {
  const { room } = world(Room);
  const sent = [];
  const handle = { id: "raw", data: {}, send: () => {}, close: (code) => sent.push(code) };
  const hello = JSON.stringify(["hello", 0, null, encode(null)]);
  await room.onWebSocketMessage(handle, hello);
  assert.deepEqual(sent, []);
  await room.onWebSocketMessage(handle, hello);
  assert.deepEqual([sent, room.clientSessions.size], [[4400], 1]);
});

test("what is malformed ends the connection", async () => {
  const { room } = world(Room);
  const malformed = ["", "{}", "[]", '["hello"]', '["call",0,1]', '["other",0]', '["ack",-1]', '["ack",1.5]', "null"];
  for (const text of malformed) {
    const sent = [];
    const handle = { id: "raw", data: {}, send: () => {}, close: (code) => sent.push(code) };
    await room.onWebSocketMessage(handle, text);
    assert.deepEqual(sent, [4400], text);
  }
  const sent = [];
  const handle = { id: "raw", data: {}, send: () => {}, close: (code) => sent.push(code) };
  await room.onWebSocketMessage(handle, '["ack",0]');
  assert.deepEqual(sent, [4400], "before hello");
});

test("requests without an answer are bounded, and a closed client rejects them", async () => {
  const { client } = world(Room);
  const one = client();
  const all = Array.from({ length: 1_000 }, () => one.call("add", 1));
  await assert.rejects(one.call("add", 1), RangeError);
  one.close();
  const other = client();
  const longest = "a".repeat(1_000_000);
  const long = Array.from({ length: 8 }, () => other.send(longest));
  await assert.rejects(other.send(longest), RangeError);
  other.close();
  all.push(...long);
  for (const call of all) await assert.rejects(call, { name: "ClosedError", code: 1000 });
  assert.throws(() => new Client("ws://here", { WebSocket: null }), globalThis.WebSocket ? /Invalid|URL/ : TypeError);
});
