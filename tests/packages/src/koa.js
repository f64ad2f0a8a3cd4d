import { createServer } from "node:http";
import Koa from "koa";

export const requests = ["/", "/json?a=1", "/nothing"];

const app = new Koa();
app.use(async (context, next) => {
  await next();
  context.set("x-path", context.path);
});
app.use((context) => {
  if (context.path === "/") context.body = "hello";
  if (context.path === "/json") context.body = { query: context.query };
});

export const server = createServer(app.callback());
export default server.listen();
