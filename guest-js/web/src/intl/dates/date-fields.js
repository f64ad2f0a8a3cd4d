// The calendar fields of an instant in a time zone, and their text.
import { lookUp } from "../support.js";

const MS_PER_DAY = 86_400_000;

/** The fields of `time` (milliseconds since 1970) in `zone`. */
export function toFields(zone, time) {
  const seconds = Math.floor(time / 1000);
  const local = time + zone.at(seconds).offset * 1000;
  const days = Math.floor(local / MS_PER_DAY);
  const inDay = local - days * MS_PER_DAY;
  const { year, month, day } = civil(days);
  return {
    zone, seconds, time, year, month, day,
    weekday: (((days + 4) % 7) + 7) % 7,
    hour: Math.floor(inDay / 3_600_000),
    minute: Math.floor(inDay / 60_000) % 60,
    second: Math.floor(inDay / 1000) % 60,
    milliseconds: inDay % 1000,
  };
}

/** The date of a day since 1970, in the proleptic Gregorian calendar. */
function civil(days) {
  const shifted = days + 719_468; // since 0000-03-01
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor((dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shiftedMonth < 10 ? shiftedMonth + 2 : shiftedMonth - 10;
  return { year: yearOfEra + era * 400 + (month <= 1 ? 1 : 0), month, day: dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1 };
}

const two = (number) => (number < 10 ? `0${number}` : `${number}`);

/** The type and the text of a pattern's field, such as `MMM`. */
export function fieldText(state, text, fields) {
  const { length } = text;
  const number = (value) => digits(state, length === 2 ? two(value % 100) : String(value));
  switch (text[0]) {
    case "G":
      return ["era", names(state, "G", length)[fields.year > 0 ? 1 : 0]];
    case "y":
      return ["year", number(fields.year > 0 ? fields.year : 1 - fields.year)];
    case "M":
    case "L":
      return ["month", length > 2 ? names(state, text[0], length)[fields.month] : number(fields.month + 1)];
    case "E":
    case "c":
      return ["weekday", names(state, text[0], length)[fields.weekday]];
    case "d":
      return ["day", number(fields.day)];
    case "a":
      return ["dayPeriod", names(state, "a", length)[fields.hour < 12 ? 0 : 1]];
    case "B":
      return ["dayPeriod", dayPeriod(state, fields, length)];
    case "h":
      return ["hour", number(fields.hour % 12 || 12)];
    case "H":
      return ["hour", number(fields.hour)];
    case "K":
      return ["hour", number(fields.hour % 12)];
    case "k":
      return ["hour", number(fields.hour || 24)];
    case "m":
      return ["minute", number(fields.minute)];
    case "s":
      return ["second", number(fields.second)];
    case "S":
      return ["fractionalSecond", digits(state, String(fields.milliseconds).padStart(3, "0").slice(0, length))];
    default:
      return ["timeZoneName", fields.zone.name(zoneStyle(text), fields.seconds, state.zoneNames)];
  }
}

/** The letters that have the names of another one where they have none of their own. */
const SAME = { L: "M", c: "E" };

/** The names that a letter has in a width. */
function names(state, letter, length) {
  const key = letter + Math.max(length, 3);
  return (state.names[key] ??= lookUp(state.data.names, key) ?? lookUp(state.data.names, SAME[letter] + Math.max(length, 3)));
}

const ZONE_STYLES = { z: ["short", "long"], O: ["shortOffset", "longOffset"], v: ["shortGeneric", "longGeneric"] };
const zoneStyle = (text) => ZONE_STYLES[text[0]][text.length === 4 ? 1 : 0];

/** The period that is the instant of noon, in the rules of dates.mjs. */
const NOON = 1;

/** Noon is an instant where smaller fields are shown, else an hour. */
function dayPeriod(state, { hour, minute, second }, length) {
  const shows = (letter) => state.items.some(([text]) => text[0] === letter);
  const isExact = (!shows("m") || minute === 0) && (!shows("s") || second === 0);
  const { periods } = state.data;
  const time = hour * 60;
  const within = ([, from, before]) => (from < before ? time >= from && time < before : from > before && (time >= from || time < before));
  const found = (hour === 12 && isExact && periods.find(([period]) => period === NOON)) || periods.find(within);
  const name = found && names(state, "B", length)[found[0]];
  return name || names(state, "a", length)[hour < 12 ? 0 : 1];
}

function digits({ digits: zero }, text) {
  if (zero === "0") return text;
  const all = [...zero];
  return Array.from(text, (char) => (all.length === 10 ? all[char] : String.fromCodePoint(zero.codePointAt(0) + Number(char)))).join("");
}
