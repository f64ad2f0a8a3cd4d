// Time zones as Intl.DateTimeFormat uses them. UTC and fixed offsets are here; time-zones.js registers the others.
//
// A zone is `{ id, at(seconds), name(style, seconds, names) }`: `at` gives `{ offset, summer }`, the offset in seconds; `names` are
// those of vendor/intl/zone-names.mjs and the digits of a locale, undefined for English.
import { requireRegistered } from "../../internal/registry.js";
import { lookUp } from "../support.js";

const ZERO = { offset: 0, summer: false };

export const UTC = {
  id: "UTC",
  at: () => ZERO,
  name(style, seconds, names) {
    const isLong = style.startsWith("long");
    if (style !== "long" && style !== "short") return gmt(0, isLong, names);
    if (names === undefined) return isLong ? "Coordinated Universal Time" : "UTC";
    const own = lookUp(names.ownNames, "Etc/UTC");
    return (isLong ? own?.[0] : own?.[3]) || (isLong ? gmt(0, true, names) : "UTC");
  },
};

const UTC_NAMES = new Set(["utc", "gmt", "etc/utc", "etc/gmt", "etc/uct", "etc/universal", "etc/zulu", "uct", "universal", "zulu", "etc/gmt+0", "etc/gmt-0", "etc/gmt0", "etc/greenwich", "gmt+0", "gmt-0", "gmt0", "greenwich"]);

const ENGLISH = { gmt: ["GMT{0}", "GMT", "+HH:mm", "-HH:mm"], digits: "0" };

/** An offset as in "GMT+5:30", or in the long form "GMT+05:30". */
export function gmt(offset, long, { gmt: [frame, , east, west], digits } = ENGLISH) {
  const size = Math.abs(offset);
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(size / 3600);
  const minutes = Math.floor(size / 60) % 60;
  const seconds = size % 60;
  const [, before, separator, after] = /^(.*?)H+(.*?)mm(.*)$/.exec(offset < 0 ? west : east);
  const rest = seconds !== 0 ? [minutes, seconds] : long || minutes !== 0 ? [minutes] : [];
  const written = [long ? two(hours) : String(hours), ...rest.map(two)].join(separator);
  const zero = digits.codePointAt(0);
  const local = digits === "0" ? written : written.replace(/[0-9]/g, (digit) => String.fromCodePoint(zero + Number(digit)));
  return frame.replace("{0}", () => before + local + (rest.length > 0 ? after : ""));
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
  const zone = requireRegistered("findTimeZone", `the time zone ${name.slice(0, 50)}`)(name);
  if (zone === undefined) throw new RangeError(`Invalid time zone specified: ${name.slice(0, 100)}`);
  return zone;
}

function fixedZone(sign, hours, minutes) {
  const offset = (sign === "-" ? -1 : 1) * (Number(hours) * 3600 + Number(minutes) * 60);
  const at = { offset, summer: false };
  return { id: `${sign}${hours}:${minutes}`, at: () => at, name: (style, seconds, names) => gmt(offset, style.startsWith("long"), names) };
}
