import Fastify from "fastify";

export const requests = ["/?name=ada", "/user/7", "/user/x", "/missing", "/fails"];

const app = Fastify({ logger: false });
app.addHook("onSend", async (request, reply) => void reply.header("x-seen", "yes"));
app.get("/", async (request) => ({ hello: request.query.name }));
app.get("/user/:id", { schema: { params: { type: "object", properties: { id: { type: "integer" } } } } }, async (request) => ({ id: request.params.id }));
app.get("/fails", async () => {
  throw Object.assign(new Error("no teapot"), { statusCode: 418 });
});

export default {
  async fetch(request) {
    const { pathname, search } = new URL(request.url);
    const answer = await app.inject({ method: request.method, url: pathname + search });
    return new Response(answer.body, { status: answer.statusCode, headers: { "content-type": answer.headers["content-type"] } });
  },
};
