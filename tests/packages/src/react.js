import { createElement as h, useState } from "react";
import { renderToStaticMarkup, renderToString } from "react-dom/server";

function App({ name }) {
  const [count] = useState(3);
  return h("main", { className: "app", style: { color: "red" } }, h("h1", null, "Hello ", name), [...Array(count).keys()].map((key) => h("li", { key }, key)));
}

export default {
  async fetch(request) {
    return new Response(renderToString(h(App, { name: "A & B" })) + "\n" + renderToStaticMarkup(h(App, { name: "x" })), { headers: { "content-type": "text/html" } });
  },
};
