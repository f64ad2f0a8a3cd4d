import { AutoRouter, error } from "itty-router";

export const requests = ["/", "/users/7?page=2", "/nothing"];

const router = AutoRouter();
router.get("/", () => "hello").get("/users/:id", ({ id, query }) => ({ id, query })).all("*", () => error(404, "no such page"));

export default { fetch: (request) => router.fetch(request) };
