// ELIAS.component(name).implement: the handlers of a default export, under a name. ELIAS is a global too.
//
//     elias-build src/index.js -o app.wasm && elias serve app.wasm
//     curl 'http://127.0.0.1:8787/?name=Ada'
ELIAS.component("greeter").implement({
  fetch(request, env, ctx) {
    const name = new URL(request.url).searchParams.get("name") ?? "world";
    return new Response(`Hello, ${name}!\n`, { headers: { "x-execution": ctx.executionId } });
  },
  call: (name) => `Hello, ${name}!`,
});
