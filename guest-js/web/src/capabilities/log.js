// The module `elias/log`: log lines with fields.
import native from "elias:native";
import { inspect } from "../console/inspect.js";
import { replaceMembers } from "../webidl/interfaces.js";

const LEVELS = ["trace", "debug", "info", "warn", "error"];

const toJson = (value) => {
  // JSON.stringify with a replacer costs several times as much.
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "number":
      return Number.isFinite(value) ? `${value}` : "null";
    case "boolean":
      return value ? "true" : "false";
  }
  if (value instanceof Error) return JSON.stringify({ name: value.name, message: value.message, stack: value.stack });
  try {
    return JSON.stringify(value, (_, item) => (typeof item === "bigint" ? `${item}` : item)) ?? "null";
  } catch {
    return JSON.stringify(inspect(value));
  }
};

/** Names and values (as JSON), alternating. */
function flatten(fields) {
  const flat = [];
  for (const name of Object.keys(fields)) flat.push(name, toJson(fields[name]));
  return flat;
}

function logger(bound) {
  const write = (level) => (message, fields = undefined) => {
    const all = fields === undefined ? bound : { ...bound, ...fields };
    native.logFields(level, typeof message === "string" ? message : inspect(message), flatten(all));
  };
  const methods = Object.fromEntries(LEVELS.map((name, level) => [name, write(level)]));
  /** A logger whose lines have these fields too. */
  return { ...methods, child: (fields) => logger({ ...bound, ...fields }) };
}

export const log = logger({});
// Natives that write a string without fields themselves, and call these functions for anything else.
replaceMembers(log, LEVELS, (script, name) => native.nativeLogMethod(script, LEVELS.indexOf(name)));
