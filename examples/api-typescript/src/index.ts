// A JSON API in TypeScript: types are stripped, imports bundled.
import { convert, type Quantity, UNITS } from "./units.ts";

interface Problem {
  error: string;
}

const problem = (status: number, error: string): Response => Response.json({ error } satisfies Problem, { status });

export default {
  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/units" && request.method === "GET") {
      return Response.json(Object.keys(UNITS));
    }
    if (pathname === "/convert" && request.method === "POST") {
      let body: { from: Quantity; to: string };
      try {
        body = await request.json();
      } catch {
        return problem(400, "the body must be JSON");
      }
      const converted = convert(body.from, body.to);
      return converted === undefined ? problem(422, `cannot convert to ${body.to}`) : Response.json(converted);
    }
    return problem(404, `nothing at ${request.method} ${pathname}`);
  },
};
