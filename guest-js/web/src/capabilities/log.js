// The module `elias/log`: lines with fields.
import native from "elias:native";
import { inspect } from "../inspect.js";

const LEVELS = ["trace", "debug", "info", "warn", "error"];

const toJson = (value) => {
  if (value instanceof Error) return JSON.stringify({ name: value.name, message: value.message, stack: value.stack });
  try {
    return JSON.stringify(value, (_, item) => (typeof item === "bigint" ? `${item}` : item)) ?? "null";
  } catch {
    return JSON.stringify(inspect(value));
  }
};

function logger(bound) {
  const write = (level) => (message, fields = undefined) => {
    const all = fields === undefined ? bound : { ...bound, ...fields };
    native.logFields(level, typeof message === "string" ? message : inspect(message), Object.entries(all).flatMap(([name, value]) => [name, toJson(value)]));
  };
  const methods = Object.fromEntries(LEVELS.map((name, level) => [name, write(level)]));
  /** A logger whose lines have these fields too. */
  return { ...methods, child: (fields) => logger({ ...bound, ...fields }) };
}

export const log = logger({});
