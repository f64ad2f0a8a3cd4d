import { H3, HTTPError, getQuery, readBody, setCookie } from "h3";

export const requests = ["/", "/user/7?a=1", "/fails"];

const app = new H3();
app.get("/", (event) => {
  setCookie(event, "seen", "yes");
  return new Response("home", { headers: { "content-type": "text/plain" } });
});
app.get("/user/:id", (event) => ({ id: event.context.params.id, query: getQuery(event) }));
app.get("/fails", () => {
  throw new HTTPError({ status: 418, message: "no teapot" });
});
app.post("/", async (event) => readBody(event));

export default { fetch: (request) => app.fetch(request) };
