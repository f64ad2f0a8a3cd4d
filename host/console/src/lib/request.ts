// HTTP requests from forms: the fields come of the JSON Schemas of an endpoint's path, query and body.

import type { Field, Values } from "../kit/types";
import { fieldsOf, valueOf, type JsonSchema } from "./schema";
import { m } from "./texts";

export interface Endpoint {
  method: string;
  path: string;
  params?: JsonSchema;
  query?: JsonSchema;
  body?: JsonSchema;
}

export interface Made {
  method: string;
  path: string;
  headers: string;
  body: string;
}

const PARTS = ["params", "query", "body"] as const;
type Part = (typeof PARTS)[number];
// A schema that no form can show is asked for as JSON, in one field.
const WHOLE = "";
const nameOf = (part: Part, field: string): string => `${part}:${field}`;

/** The names of the parameters in a path such as `/users/:id`, `/files/*rest`. */
const parametersOf = (path: string): string[] =>
  path.split("/").flatMap((segment) => (/^[:*]/.test(segment) ? [segment.slice(1)] : []));

/** The schema of a part; a path without one takes texts. */
function schemaOf(endpoint: Endpoint, part: Part): JsonSchema | undefined {
  const names = part === "params" && endpoint.params === undefined ? parametersOf(endpoint.path) : [];
  if (names.length === 0) return endpoint[part];
  const properties = Object.fromEntries(names.map((name) => [name, { type: "string" }]));
  return { type: "object", required: names, properties };
}

/** The fields of a form for an endpoint. */
export function endpointFields(endpoint: Endpoint): Field[] {
  return PARTS.flatMap((part): Field[] => {
    const schema = schemaOf(endpoint, part);
    if (schema === undefined) return [];
    const fields = fieldsOf(schema);
    if (fields === undefined) return [{ name: nameOf(part, WHOLE), label: m.body(), kind: "json", value: "{}" }];
    return fields.map((field) => ({ ...field, name: nameOf(part, field.name) }));
  });
}

function valuesOf(endpoint: Endpoint, part: Part, values: Values): unknown {
  const schema = schemaOf(endpoint, part);
  if (schema === undefined) return undefined;
  const whole = values[nameOf(part, WHOLE)];
  if (whole !== undefined) return whole === "" ? undefined : (JSON.parse(whole) as unknown);
  const own = Object.entries(values).flatMap(([name, value]) =>
    name.startsWith(`${part}:`) ? [[name.slice(part.length + 1), value] as const] : [],
  );
  return valueOf(schema, Object.fromEntries(own));
}

const asText = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));
const entries = (value: unknown): [string, unknown][] => Object.entries((value ?? {}) as Record<string, unknown>);

/** The request that a form stands for. */
export function requestOf(endpoint: Endpoint, values: Values): Made {
  const params = Object.fromEntries(entries(valuesOf(endpoint, "params", values)));
  const path = endpoint.path
    .split("/")
    .map((segment) => {
      if (!/^[:*]/.test(segment)) return segment;
      const text = asText(params[segment.slice(1)] ?? "");
      return segment.startsWith("*")
        ? text.split("/").map(encodeURIComponent).join("/")
        : encodeURIComponent(text);
    })
    .join("/");
  const query = new URLSearchParams(
    entries(valuesOf(endpoint, "query", values)).map(([name, value]) => [name, asText(value)]),
  ).toString();
  const body = valuesOf(endpoint, "body", values);
  return {
    method: endpoint.method,
    path: query === "" ? path : `${path}?${query}`,
    headers: body === undefined ? "" : "content-type: application/json",
    body: body === undefined ? "" : JSON.stringify(body),
  };
}
