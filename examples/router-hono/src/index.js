// A router from npm: Hono, unchanged.
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";

const app = new Hono();

app.get("/", (c) => c.text("Hello from Hono\n"));
app.get("/users/:id", (c) => c.json({ id: c.req.param("id"), verbose: c.req.query("verbose") !== undefined }));
app.post("/echo", async (c) => c.json({ got: await c.req.json() }, 201));
app.get("/teapot", () => {
  throw new HTTPException(418, { message: "short and stout" });
});
app.notFound((c) => c.json({ error: `no route for ${c.req.path}` }, 404));

// Hono builds its routing tables at the first request. The top level runs once, during the build, and every request starts
// from what it left: asked here, the tables are in every instance.
await app.request("/");

export default app;
