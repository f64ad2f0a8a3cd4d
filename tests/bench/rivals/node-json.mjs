// The router that checks a JSON body, under Node.
import { serve } from "@hono/node-server";
import app from "./json.js";

serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, ({ port }) => console.log(`http://127.0.0.1:${port}`));
