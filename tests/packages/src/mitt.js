import mitt from "mitt";

export default {
  async fetch(request) {
    const seen = [];
    const emitter = mitt();
    emitter.on("*", (type, event) => seen.push(["*", type, event]));
    emitter.on("a", (event) => seen.push(event));
    emitter.emit("a", 1);
    emitter.off("a");
    emitter.emit("a", 2);
    return Response.json(seen);
  },
};
