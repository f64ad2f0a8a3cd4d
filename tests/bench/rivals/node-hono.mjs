// The Hono router under Node.
import { serve } from "@hono/node-server";
import app from "../../../examples/router-hono/src/index.js";

serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, ({ port }) => console.log(`http://127.0.0.1:${port}`));
