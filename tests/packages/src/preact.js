import { h } from "preact";
import { useState } from "preact/hooks";
import { renderToString } from "preact-render-to-string";

function App({ name }) {
  const [count] = useState(2);
  return h("main", { class: "app" }, h("h1", null, name), Array.from({ length: count }, (_, key) => h("li", { key }, key)));
}

export default {
  async fetch(request) {
    return new Response(renderToString(h(App, { name: "A & B" })));
  },
};
