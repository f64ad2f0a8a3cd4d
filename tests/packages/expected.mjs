// What Node.js answers: node expected.mjs NAME... prints one line of JSON a module of src/, {name, answers: [{path, status,
// type, body}]} or {name, error}. A module's `requests` are the paths that are asked for; its default export has a fetch
// handler, or is a server of node:http.
const { once } = await import("node:events");

export async function answersOf(name) {
  const module = await import(`./src/${name}.js`);
  const app = module.default;
  let ask = (path) => app.fetch(new Request(`http://localhost${path}`), {}, { waitUntil() {} });
  if (typeof app.fetch !== "function") {
    if (!app.listening) await once(app, "listening");
    ask = (path) => fetch(`http://127.0.0.1:${app.address().port}${path}`, { redirect: "manual" });
  }
  const answers = [];
  for (const path of module.requests ?? ["/"]) {
    const response = await ask(path);
    answers.push({ path, status: response.status, type: response.headers.get("content-type"), body: await response.text() });
  }
  return answers;
}

for (const name of process.argv.slice(2)) {
  const answer = await answersOf(name).then((answers) => ({ name, answers }), (error) => ({ name, error: `${error?.stack ?? error}` }));
  console.log(JSON.stringify(answer));
}
process.exit(0);
