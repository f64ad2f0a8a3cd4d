import { Hono } from "hono";

const app = new Hono();

app.get("/", (c) => c.html("<!doctype html><title>{{name}}</title><h1>Hello from Hono</h1>"));
app.get("/users/:id", (c) => c.json({ id: c.req.param("id") }));
app.notFound((c) => c.json({ error: `there is nothing at ${c.req.path}` }, 404));

export default app;
