import { EventEmitter } from "eventemitter3";

export default {
  async fetch(request) {
    const seen = [];
    const emitter = new EventEmitter();
    emitter.on("a", (event) => seen.push(event));
    emitter.once("a", (event) => seen.push(["once", event]));
    emitter.emit("a", 1);
    emitter.emit("a", 2);
    return Response.json({ seen, count: emitter.listenerCount("a"), names: emitter.eventNames() });
  },
};
