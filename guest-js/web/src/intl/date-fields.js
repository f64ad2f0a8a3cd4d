// An instant's calendar fields in a zone, and how each is written.

const MONTHS = "January February March April May June July August September October November December".split(" ");
const DAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");
const ERAS = [["BC", "Before Christ", "B"], ["AD", "Anno Domini", "A"]];

const MS_PER_DAY = 86_400_000;
/** The day on which the Gregorian calendar began, in days since 1970: there is no other calendar here before it. */

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
    case "G": {
      const names = ERAS[fields.year > 0 ? 1 : 0];
      return ["era", length === 4 ? names[1] : length === 5 ? names[2] : names[0]];
    }
    case "y":
      return ["year", number(fields.year > 0 ? fields.year : 1 - fields.year)];
    case "M":
    case "L":
      return ["month", length > 2 ? word(MONTHS[fields.month], length) : number(fields.month + 1)];
    case "E":
    case "c":
      return ["weekday", word(DAYS[fields.weekday], length)];
    case "d":
      return ["day", number(fields.day)];
    case "a":
      return ["dayPeriod", fields.hour < 12 ? "AM" : "PM"];
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
      return ["timeZoneName", fields.zone.name(zoneStyle(text), fields.seconds)];
  }
}

const word = (name, length) => (length === 4 ? name : length === 5 ? name[0] : name.slice(0, 3));

const ZONE_STYLES = { z: ["short", "long"], O: ["shortOffset", "longOffset"], v: ["shortGeneric", "longGeneric"] };
const zoneStyle = (text) => ZONE_STYLES[text[0]][text.length === 4 ? 1 : 0];

/** Noon is an instant where smaller fields are shown, else an hour. */
function dayPeriod(state, { hour, minute, second }, length) {
  const exact = (!state.items.some(([text]) => text[0] === "m") || minute === 0) && (!state.items.some(([text]) => text[0] === "s") || second === 0);
  if (hour === 12 && exact) return length === 5 ? "n" : "noon";
  return hour < 12 ? "in the morning" : hour < 18 ? "in the afternoon" : hour < 21 ? "in the evening" : "at night";
}

function digits({ digits: zero }, text) {
  if (zero === "0") return text;
  const all = [...zero];
  return Array.from(text, (char) => (all.length === 10 ? all[char] : String.fromCodePoint(zero.codePointAt(0) + Number(char)))).join("");
}
