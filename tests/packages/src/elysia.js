import { Elysia, t } from "elysia";

export const requests = ["/", "/users/7?page=2", "/users/x", "/nothing"];

const app = new Elysia({ aot: false })
  .get("/", () => "hello")
  .get("/users/:id", ({ params, query }) => ({ params, query }), { params: t.Object({ id: t.Numeric() }) });

export default { fetch: (request) => app.fetch(request) };
