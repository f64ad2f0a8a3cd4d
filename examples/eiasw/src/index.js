// Four examples of the architecture "everything is a service worker" (EIASW): a handler with a name is a service, which
// keeps its context, and messages are all that others know of it. Here each is a service worker.
//
//     GET    /files/PATH                    a file, or the names in a folder
//     PUT    /files/PATH                    writes a file
//     DELETE /files/PATH
//     POST   /orders?user=USER&sku=SKU      an order, for which three services work together
//     POST   /tasks, GET /tasks             work that is done in the background
//     POST   /pool, DELETE /pool/NUMBER     a connection of a pool
//     GET    /services                      the state of each service
//     POST   /services/NAME/stop            stops it: or start, or restart
import { registry } from "elias/eiasw";
import { tasks } from "./background.js";
import { files } from "./file-system.js";
import { order } from "./microservices.js";
import { pool } from "./pool.js";

// The top level runs when the component is built: the first message finds them running.
await registry.startAll();

async function services(request, name, action) {
  const status = await registry.status();
  if (request.method === "GET") {
    return Response.json(Object.fromEntries(Object.entries(status).map(([service, { state }]) => [service, state])));
  }
  if (!["start", "stop", "restart"].includes(action)) return new Response("not found\n", { status: 404 });
  const told = [];
  registry.on("service:stopped", ({ name }) => told.push(`${name} stopped`));
  registry.on("service:started", ({ name }) => told.push(`${name} started`));
  try {
    await registry[action](name);
    return Response.json(told);
  } catch (error) {
    return Response.json({ error: error.message }, { status: 409 });
  }
}

export default {
  async fetch(request) {
    const url = new URL(request.url);
    const [, kind, ...rest] = decodeURIComponent(url.pathname).split("/");
    if (kind === "files") return files(request, rest.join("/"));
    if (kind === "orders") return order(url);
    if (kind === "tasks") return tasks(request);
    if (kind === "pool") return pool(request, rest[0]);
    if (kind === "services") return services(request, ...rest);
    return new Response("not found\n", { status: 404 });
  },
};
