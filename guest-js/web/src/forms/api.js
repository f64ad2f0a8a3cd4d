// ELIAS.createAPI: endpoints with a handler each; all endpoints of a module form one router.
import native from "elias:native";
import { Response, isResponse } from "../fetch/response.js";
import { HttpError, problem } from "./problem.js";
import { Router, parseEndpoint } from "./router.js";
import { ValidationFailure, check, checkSchema } from "./schema.js";

const PARTS = ["params", "query", "body"];

const router = new Router();

/** Adds an endpoint; returns the component of all endpoints. */
export function createAPI(options) {
  const { endpoint, handler, ...rest } = options ?? {};
  if (typeof handler !== "function") throw new TypeError("ELIAS.createAPI needs a handler: createAPI({ endpoint, handler })");
  const unknown = Object.keys(rest).find((key) => !PARTS.includes(key));
  if (unknown !== undefined) throw new TypeError(`ELIAS.createAPI has no option ${unknown}; there are endpoint, handler, ${PARTS.join(", ")}`);
  for (const part of PARTS) checkSchema(rest[part], part);
  const route = parseEndpoint(endpoint);
  router.add(route, { handler, schemas: rest });
  const name = `${route.method} /${route.segments.join("/")}`;
  native.describeSchema?.(1, name, "", undefined);
  for (const part of PARTS) native.describeSchema?.(1, name, part, rest[part]);
  return api;
}

/** The component of all endpoints of the module. */
const api = {
  async fetch(request, env, ctx) {
    const url = new URL(request.url);
    let found;
    try {
      found = router.find(request.method, url.pathname);
    } catch {
      return problem(400, "bad-path", "the path is not percent-encoded UTF-8");
    }
    if (found === undefined) return problem(404, "no-endpoint", `the endpoint ${url.pathname} does not exist`);
    if (found.target === undefined) {
      const allow = found.allow.join(", ");
      if (request.method === "OPTIONS") return new Response(null, { status: 204, headers: { allow } });
      return problem(405, "method-not-allowed", `${url.pathname} has ${allow}, not ${request.method}`, undefined, { allow });
    }
    try {
      return await respond(found.target, found.params, url, request, env, ctx);
    } catch (error) {
      if (error instanceof HttpError) return error.response;
      throw error;
    }
  },
};

async function respond({ handler, schemas }, params, url, request, env, ctx) {
  const input = { method: request.method, url, headers: request.headers, params, query: queryOf(url), body: undefined, request, env };
  if (isJson(request)) {
    const text = await request.text();
    try {
      input.body = text === "" ? undefined : JSON.parse(text);
    } catch (error) {
      return problem(400, "bad-json", `the body is not valid JSON: ${error.message}`);
    }
  } else if (schemas.body !== undefined) {
    return problem(415, "not-json", "the body must be JSON, with the content type application/json");
  }
  for (const part of PARTS) {
    const checked = await check(schemas[part], input[part]);
    if (checked instanceof ValidationFailure) return problem(422, "invalid-input", `the ${part} is not valid`, { in: part, issues: checked.issues });
    input[part] = checked;
  }
  const result = await handler(input, ctx);
  if (isResponse(result)) return result;
  return result === undefined ? new Response(null, { status: 204 }) : Response.json(result);
}

/** The query's values by name: text, or a list of texts where a name occurs more than once. */
function queryOf(url) {
  const query = Object.create(null);
  for (const [name, value] of url.searchParams) {
    query[name] = name in query ? [query[name], value].flat() : value;
  }
  return query;
}

/** Whether the body is JSON, by its media type: `application/json` or anything that ends in `+json`. */
export function isJson(request) {
  const essence = (request.headers.get("content-type") ?? "").split(";")[0].trim().toLowerCase();
  return essence === "application/json" || /^[^/]+\/[^/]+\+json$/.test(essence);
}
