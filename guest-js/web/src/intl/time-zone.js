// Time zones as Intl.DateTimeFormat sees them. UTC is here; the others are in time-zones.js, which only gets into components that
// mention `timeZone`.
//
// A zone is `{ id, at(seconds), name(style, seconds) }`: `at` gives `{ offset, summer }`, the offset in seconds.
import { needed } from "../registry.js";

const ZERO = { offset: 0, summer: false };

export const UTC = {
  id: "UTC",
  at: () => ZERO,
  name: (style) => (style === "long" ? "Coordinated Universal Time" : style === "short" ? "UTC" : gmt(0, style.startsWith("long"))),
};

const UTC_NAMES = new Set(["utc", "gmt", "etc/utc", "etc/gmt", "etc/uct", "etc/universal", "etc/zulu", "uct", "universal", "zulu", "etc/gmt+0", "etc/gmt-0", "etc/gmt0", "etc/greenwich", "gmt+0", "gmt-0", "gmt0", "greenwich"]);

/** "GMT+5:30", or in the long form "GMT+05:30". */
export function gmt(offset, long) {
  const size = Math.abs(offset);
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(size / 3600);
  const minutes = Math.floor(size / 60) % 60;
  const seconds = size % 60;
  const tail = seconds === 0 ? "" : `:${two(seconds)}`;
  const sign = offset < 0 ? "-" : "+";
  if (long) return `GMT${sign}${two(hours)}:${two(minutes)}${tail}`;
  return `GMT${sign}${hours}${minutes === 0 && tail === "" ? "" : `:${two(minutes)}${tail}`}`;
}

const OFFSET = /^([+-])([01][0-9]|2[0-3])(?::?([0-5][0-9]))?$/;

/** The zone of a name in any case, or of an offset like "+05:30"; a RangeError where there is none. */
export function findZone(name) {
  if (UTC_NAMES.has(name.toLowerCase())) return UTC;
  const offset = OFFSET.exec(name);
  if (offset !== null) {
    const [, sign, hours, minutes = "00"] = offset;
    return fixedZone(sign === "-" && `${hours}${minutes}` !== "0000" ? "-" : "+", hours, minutes);
  }
  const zone = needed("findTimeZone", `the time zone ${name.slice(0, 50)}`)(name);
  if (zone === undefined) throw new RangeError(`Invalid time zone specified: ${name.slice(0, 100)}`);
  return zone;
}

function fixedZone(sign, hours, minutes) {
  const offset = (sign === "-" ? -1 : 1) * (Number(hours) * 3600 + Number(minutes) * 60);
  const at = { offset, summer: false };
  return { id: `${sign}${hours}:${minutes}`, at: () => at, name: (style) => gmt(offset, style.startsWith("long")) };
}
