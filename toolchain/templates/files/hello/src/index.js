/** @satisfies {import("elias").Component} */
const component = {
  fetch(request) {
    const name = new URL(request.url).searchParams.get("name") ?? "world";
    return new Response(`<!doctype html><title>{{name}}</title><h1>Hello, ${escape(name)}!</h1>`, {
      headers: { "content-type": "text/html; charset=utf-8" },
    });
  },
};

export default component;

/** @type {Record<string, string>} */
const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** @param {string} text */
export function escape(text) {
  return text.replace(/[&<>"]/g, (character) => ENTITIES[character] ?? "");
}
