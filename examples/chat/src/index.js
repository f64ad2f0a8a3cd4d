// Rooms of a chat. Each is a service worker that has its sockets and its last messages, and nothing is stored by hand.
//
//     ws://HOST/workers/Room/NAME?as=ada     joins a room; what is sent is said to all
//     GET /rooms/NAME                        who is there, and what was said last
//     GET /                                  a page
import { worker, workers } from "elias";
import page from "./page.html";

/** Messages that a room keeps. */
const LAST_MAX = 50;

export class Room extends worker.Worker {
  last = [];

  /** One that throws has no socket: the client's request fails. */
  onOpen(socket, { url }) {
    const name = new URL(url).searchParams.get("as")?.trim();
    if (!name || name.length > 40) throw new RangeError("a name has from 1 to 40 characters: ?as=NAME");
    socket.data.name = name;
    this.say({ joined: name });
    socket.send(JSON.stringify({ here: this.here(), last: this.last }));
  }

  onWebSocketMessage(socket, message) {
    if (typeof message !== "string" || message.length > 1_000) return socket.close(4000, "texts of 1,000 characters");
    const said = { from: socket.data.name, text: message };
    this.last = [...this.last, said].slice(-LAST_MAX);
    return this.say(said);
  }

  /** Called for each client that leaves, and for those whose connections a former process had. */
  onClose(socket) {
    this.say({ left: socket.data.name });
  }

  say(event) {
    const text = JSON.stringify(event);
    for (const socket of this.sockets) socket.send(text);
  }

  here() {
    return this.sockets.map(({ data }) => data.name);
  }

  show() {
    return { here: this.here(), last: this.last };
  }
}

export default {
  async fetch(request) {
    const [, kind, name] = new URL(request.url).pathname.split("/").map(decodeURIComponent);
    if (kind === "") return new Response(page, { headers: { "content-type": "text/html; charset=utf-8" } });
    if (kind !== "rooms" || !name) return new Response("not found\n", { status: 404 });
    return Response.json(await workers.get(Room, name).show());
  },
};
