import Fastify from "fastify";
import { createServer } from "node:http";

export const requests = ["/?name=ada", "/missing"];

let server;
const app = Fastify({
  // No timer runs while the top level is evaluated.
  pluginTimeout: 0,
  serverFactory(handler) {
    server = createServer(handler);
    return server;
  },
});
app.get("/", async (request) => ({ hello: request.query.name }));
await app.ready();
server.listen(0);

export default server;
