import { initTRPC, TRPCError } from "@trpc/server";
import { fetchRequestHandler } from "@trpc/server/adapters/fetch";
import { z } from "zod";

export const requests = ["/trpc/hello?input=%22Ada%22", "/trpc/hello?input=7", "/trpc/fail", "/trpc/nothing"];

const t = initTRPC.create({ isDev: false });
const router = t.router({
  hello: t.procedure.input(z.string()).query(({ input }) => `hello ${input}`),
  fail: t.procedure.query(() => {
    throw new TRPCError({ code: "TOO_MANY_REQUESTS", message: "slow down" });
  }),
});

export default { fetch: (request) => fetchRequestHandler({ endpoint: "/trpc", req: request, router, createContext: () => ({}) }) };
