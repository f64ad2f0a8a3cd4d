// Forms from a JSON Schema. A schema comes with a component, so it is interpreted: compiling it here would take `eval`,
// which the policy of the console refuses. What a form cannot show is asked for as JSON.

import type { Field, Values } from "../kit/types";
import { m } from "./texts";

export interface JsonSchema {
  type?: string | string[];
  title?: string;
  description?: string;
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  format?: string;
}

const FIELDS_MAX = 40;

/** The one type of a schema that also allows null, or the type. */
function typeOf(schema: JsonSchema): string | undefined {
  if (schema.enum !== undefined) return "enum";
  const types = (Array.isArray(schema.type) ? schema.type : [schema.type]).filter((type) => type !== "null");
  return types.length === 1 ? types[0] : undefined;
}

const shown = (value: unknown): string =>
  value === undefined
    ? ""
    : typeof value === "string"
      ? value
      : typeof value === "boolean"
        ? value
          ? "true"
          : ""
        : JSON.stringify(value);

function problem(schema: JsonSchema, text: string): string | undefined {
  const type = typeOf(schema);
  if (type === "integer" || type === "number") {
    const value = Number(text);
    if (type === "integer" && !Number.isInteger(value)) return m.field_integer();
    if (schema.minimum !== undefined && value < schema.minimum) return m.field_minimum({ minimum: schema.minimum });
    if (schema.maximum !== undefined && value > schema.maximum) return m.field_maximum({ maximum: schema.maximum });
  }
  if (type === "string") {
    if (schema.minLength !== undefined && text.length < schema.minLength)
      return m.field_min_length({ length: schema.minLength });
    if (schema.maxLength !== undefined && text.length > schema.maxLength)
      return m.field_max_length({ length: schema.maxLength });
  }
  return undefined;
}

/** The fields of a schema of an object; `undefined` if it is none, so that JSON is asked for. */
export function fieldsOf(schema: JsonSchema | undefined): Field[] | undefined {
  if (schema === undefined || typeOf(schema) !== "object" || schema.properties === undefined) return undefined;
  const members = Object.entries(schema.properties);
  if (members.length === 0 || members.length > FIELDS_MAX) return undefined;
  return members.map(([name, member]) => {
    const type = typeOf(member);
    const required = schema.required?.includes(name) ?? false;
    const common = {
      name,
      label: member.title ?? name,
      required,
      value: shown(member.default),
      ...(member.description === undefined ? {} : { hint: member.description }),
      check: (text: string) => problem(member, text),
    };
    if (type === "enum") {
      const choices = (member.enum ?? []).map((value) => ({ value: JSON.stringify(value), label: shown(value) }));
      const value =
        member.default === undefined ? (required ? (choices[0]?.value ?? "") : "") : JSON.stringify(member.default);
      return {
        ...common,
        kind: "choice",
        choices: required ? choices : [{ value: "", label: "\u2013" }, ...choices],
        value,
      };
    }
    if (type === "boolean") return { ...common, kind: "check" };
    if (type === "number" || type === "integer") return { ...common, kind: "number" };
    if (type === "string") return { ...common, kind: (member.maxLength ?? 0) > 200 ? "area" : "text" };
    return { ...common, kind: "json" };
  });
}

/** The value that a form stands for. Fields that are empty and not required are left out. */
export function valueOf(schema: JsonSchema, values: Values): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(schema.properties ?? {})) {
    const text = values[name] ?? "";
    const type = typeOf(member);
    if (type === "boolean") {
      if (text === "true" || schema.required?.includes(name)) result[name] = text === "true";
    } else if (text === "") {
      if (schema.required?.includes(name) && type === "string") result[name] = "";
    } else if (type === "string") result[name] = text;
    else if (type === "number" || type === "integer") result[name] = Number(text);
    else result[name] = JSON.parse(text) as unknown;
  }
  return result;
}
