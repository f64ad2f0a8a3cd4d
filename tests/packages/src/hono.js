import { Hono } from "hono";
import { basicAuth } from "hono/basic-auth";
import { cors } from "hono/cors";
import { HTTPException } from "hono/http-exception";

export const requests = ["/", "/users/7?page=2", "/html", "/fail", "/nothing", "/secret"];

const app = new Hono();
app.use("*", cors());
app.use("/secret", basicAuth({ username: "a", password: "b" }));
app.get("/", (c) => c.text("hello"));
app.get("/users/:id", (c) => c.json({ id: c.req.param("id"), page: c.req.query("page") }));
app.get("/html", (c) => c.html("<p>hi</p>", 201));
app.get("/fail", () => {
  throw new HTTPException(418, { message: "short and stout" });
});
app.get("/secret", (c) => c.text("secret"));

export default app;
