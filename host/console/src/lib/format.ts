// Numbers, dates and sizes in the language of the page.

import { getLocale } from "./texts";

const MINUTE = 60;
const HOUR = 3_600;
const DAY = 86_400;

function cached<Value>(make: (locale: string) => Value): () => Value {
  const made = new Map<string, Value>();
  return () => {
    const locale = getLocale();
    let value = made.get(locale);
    if (value === undefined) {
      value = make(locale);
      made.set(locale, value);
    }
    return value;
  };
}

const numbers = cached((locale) => new Intl.NumberFormat(locale, { maximumFractionDigits: 2 }));
const percents = cached((locale) => new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 2 }));
const dates = cached((locale) => new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" }));
const clocks = cached((locale) => new Intl.DateTimeFormat(locale, { timeStyle: "medium" }));
const minutes = cached((locale) => new Intl.DateTimeFormat(locale, { timeStyle: "short" }));
const days = cached((locale) => new Intl.DateTimeFormat(locale, { day: "numeric", month: "short" }));
const relative = cached((locale) => new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "short" }));

export const number = (value: number): string => numbers().format(value);
/** A share from 0 to 1. */
export const percent = (share: number): string => percents().format(share);
export const date = (at: number): string => dates().format(at);
export const clock = (at: number): string => clocks().format(at);
export const minute = (at: number): string => minutes().format(at);
export const day = (at: number): string => days().format(at);

function unit(value: number, name: string): string {
  const digits = value < 10 ? 2 : value < 100 ? 1 : 0;
  return new Intl.NumberFormat(getLocale(), {
    style: "unit",
    unit: name,
    unitDisplay: "short",
    maximumFractionDigits: digits,
  }).format(value);
}

export function bytes(value: number): string {
  const names = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"] as const;
  let size = value;
  let index = 0;
  while (size >= 1_000 && index < names.length - 1) {
    size /= 1_000;
    index += 1;
  }
  return unit(size, names[index] ?? "byte");
}

/** A duration from microseconds. */
export function duration(us: number): string {
  if (us < 1_000) return unit(us, "microsecond");
  if (us < 1_000_000) return unit(us / 1_000, "millisecond");
  const seconds = us / 1_000_000;
  if (seconds < MINUTE * 2) return unit(seconds, "second");
  if (seconds < HOUR * 2) return unit(seconds / MINUTE, "minute");
  return unit(seconds / HOUR, "hour");
}

/** How long ago, or in how long: "5 min. ago". */
export function ago(at: number, now: number): string {
  const seconds = Math.round((at - now) / 1_000);
  const size = Math.abs(seconds);
  if (size < MINUTE) return relative().format(seconds, "second");
  if (size < HOUR) return relative().format(Math.round(seconds / MINUTE), "minute");
  if (size < DAY * 2) return relative().format(Math.round(seconds / HOUR), "hour");
  return relative().format(Math.round(seconds / DAY), "day");
}

/** A large count without its small digits: 12.3K. */
export function compact(value: number): string {
  return new Intl.NumberFormat(getLocale(), { notation: "compact", maximumFractionDigits: 1 }).format(value);
}
