import { createElement as h, Suspense, use } from "react";
import { renderToReadableStream } from "react-dom/server";

function Late({ late }) {
  return h("p", null, use(late));
}

export default {
  async fetch(request) {
    const late = new Promise((resolve) => setTimeout(() => resolve("late"), 5));
    const stream = await renderToReadableStream(h("main", null, h(Suspense, { fallback: "wait" }, h(Late, { late }))));
    await stream.allReady;
    return new Response(stream, { headers: { "content-type": "text/html" } });
  },
};
