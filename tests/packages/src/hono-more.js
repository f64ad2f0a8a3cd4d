import { zValidator } from "@hono/zod-validator";
import { Hono } from "hono";
import { html } from "hono/html";
import { jsx } from "hono/jsx";
import { sign, verify } from "hono/jwt";
import { csrf } from "hono/csrf";
import { etag } from "hono/etag";
import { secureHeaders } from "hono/secure-headers";
import { z } from "zod";

export const requests = ["/", "/page?name=%3Cada%3E", "/valid?age=7", "/valid?age=x", "/token"];

const app = new Hono();
app.use(secureHeaders(), csrf(), etag());
app.get("/", (c) => c.html(html`<p>${"<b>"}</p>`));
app.get("/page", (c) => c.html(jsx("main", { class: "a" }, jsx("h1", null, c.req.query("name")), [1, 2].map((one) => jsx("li", { key: one }, one)))));
app.get("/valid", zValidator("query", z.object({ age: z.coerce.number().int() })), (c) => c.json(c.req.valid("query")));
app.get("/token", async (c) => {
  const token = await sign({ sub: "ada" }, "secret", "HS256");
  return c.json({ token, back: await verify(token, "secret", "HS256") });
});

export default app;
