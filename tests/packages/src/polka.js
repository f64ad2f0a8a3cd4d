import { createServer } from "node:http";
import polka from "polka";

export const requests = ["/", "/users/7?full=1", "/missing"];

const app = polka();
app.use((request, response, next) => {
  response.setHeader("content-type", "text/plain");
  next();
});
app.get("/", (request, response) => response.end("home"));
app.get("/users/:id", (request, response) => response.end(`${request.params.id} ${request.query.full}`));

export default createServer(app.handler).listen(0);
