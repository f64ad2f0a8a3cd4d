import { createServer } from "node:http";
import express from "express";

export const requests = ["/", "/users/7?page=2", "/html", "/fail", "/nothing", "/redirect"];

const app = express();
app.disable("x-powered-by");
app.use(express.json());
app.get("/", (request, response) => response.send("hello"));
app.get("/users/:id", (request, response) => response.json({ id: request.params.id, page: request.query.page }));
app.get("/html", (request, response) => response.status(201).type("html").send("<p>hi</p>"));
app.get("/redirect", (request, response) => response.redirect("/"));
app.get("/fail", () => {
  throw new Error("it failed");
});
app.use((error, request, response, next) => response.status(500).json({ error: error.message }));

export const server = createServer(app);
export default server.listen();
