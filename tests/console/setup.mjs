// Before all tests: a platform with a few components.
import { start } from "./platform.mjs";

const FAULTY = `export default {
  fetch(request) {
    const url = new URL(request.url);
    if (url.searchParams.has("fail")) throw new Error("<img src=x onerror=alert(1)> failed");
    const log = url.searchParams.get("log");
    if (log) console.log("\\u001b[31mred\\u001b[0m <b>bold</b> \\u202etxt " + log);
    return new Response("fine");
  },
};`;

export default async function setup() {
  const platform = await start();
  const module = (name, source) => ({
    "package.json": JSON.stringify({ name, version: "1.0.0", type: "module" }),
    "src/index.js": source,
  });
  const hello = (text) => `export default { fetch: () => new Response("${text}") };`;
  await platform.deploy("shop");
  await platform.deploy("cart");
  await platform.deploy("faulty", module("faulty", FAULTY));
  for (const text of ["first", "second"]) await platform.deploy("greeting", module("greeting", hello(text)));
  for (const text of ["first", "second"]) {
    const breaking = `export default {
  fetch(request) {
    if (new URL(request.url).pathname === "/fail") throw new TypeError("no stock for order 4711 & <b>more</b>");
    return new Response("${text}");
  },
};`;
    await platform.deploy("breaking", module("breaking", breaking));
  }
  const refusing = `export default { event: (event) => event.reject("there is no order " + event.data.order) };`;
  await platform.deploy("refusing", {
    ...module("refusing", refusing),
    "elias.toml": '[[triggers.event]]\nname = "refused"\ntype = "order.refused"\n',
  });
  const described = `export const input = {
  type: "object",
  required: ["article", "pieces"],
  properties: { article: { type: "string", minLength: 1 }, pieces: { type: "integer", minimum: 1 } },
};
export default {
  async fetch(request) {
    return Response.json({ got: request.method === "POST" ? (await request.json()).pieces : null });
  },
  call: (order) => order,
};`;
  await platform.deploy("described", module("described", described));
  await platform.deploy("stopping", module("stopping", hello("here")));
  Object.assign(process.env, {
    CONSOLE_URL: platform.admin,
    CONSOLE_ADMIN: platform.admin,
    CONSOLE_SERVICES: platform.services,
    CONSOLE_TOKEN: platform.token,
    CONSOLE_FOLDER: platform.folder,
  });
  return async () => {
    const headers = { authorization: `Bearer ${platform.token}` };
    const reports = await fetch(`${platform.admin}/console/csp-reports`, { headers }).then((found) => found.json());
    await platform.stop();
    // What browsers reported themselves, beside what each test has seen in its page.
    if (reports.count !== 0) throw new Error(`browsers refused by policy: ${JSON.stringify(reports)}`);
  };
}
