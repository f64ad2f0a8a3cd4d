// What several pages have in common.

import type { Choice, Field, Filter } from "../kit/types";
import type { Environment } from "../lib/client";
import { bytes, number } from "../lib/format";
import { m } from "../lib/texts";

export const ENVIRONMENTS: Environment[] = ["production", "staging", "dev"];

export const environmentName = (environment: string): string =>
  environment === "production"
    ? m.environment_production()
    : environment === "staging"
      ? m.environment_staging()
      : m.environment_dev();

export const environmentChoices = (): Choice[] =>
  ENVIRONMENTS.map((environment) => ({ value: environment, label: environmentName(environment) }));

export const componentFilter = (): Filter => ({ name: "component", label: m.component() });
export const environmentFilter = (): Filter => ({
  name: "environment",
  label: m.environment(),
  choices: environmentChoices(),
});

const HOUR = 3_600_000;

/** How far a list goes back; the value is a number of milliseconds. */
export const sinceFilter = (): Filter => ({
  name: "since",
  label: m.since(),
  choices: [
    { value: String(HOUR), label: m.last_hour() },
    { value: String(24 * HOUR), label: m.last_day() },
    { value: String(7 * 24 * HOUR), label: m.last_week() },
    { value: String(30 * 24 * HOUR), label: m.last_month() },
  ],
});

/** The time from which on, in milliseconds since 1970, by the value of the filter. */
export const sinceTime = (value: string | undefined): number | undefined =>
  value ? Date.now() - Number(value) : undefined;

/** The parameters that are set, for a request. */
export function given(values: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).filter((entry): entry is [string, string] => (entry[1] ?? "") !== ""),
  );
}

export const reasonField = (): Field => ({ name: "reason", label: m.reason(), kind: "text", hint: m.reason_hint() });

/** The time of a field of the kind `time`, in milliseconds since 1970. */
export const milliseconds = (local: string): number | undefined =>
  local === "" ? undefined : new Date(local).getTime();

/** A JSON text as a value; a text that is none stays one. */
export function parsed(text: string | null | undefined): unknown {
  if (text === null || text === undefined) return null;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** A limit or a quota as its name has it: those of bytes as a size. */
export const amount = (name: string, value: number): string => (name.includes("bytes") ? bytes(value) : number(value));

/** Lines or words of a field, as a list. */
export const words = (text: string): string[] => text.split(/[\s,]+/).filter((word) => word !== "");
