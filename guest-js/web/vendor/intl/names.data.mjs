// What languages, regions and so on are called in English.
import { english, table } from "./cldr.mjs";

export const madeFrom = ["cldr-dates-full", "cldr-localenames-full", "cldr-numbers-full"];

const names = (file) => english("cldr-localenames-full", file).localeDisplayNames;
const { calendar } = names("localeDisplayNames").types;
const { fields } = english("cldr-dates-full", "dateFields").dates;
const { currencies } = english("cldr-numbers-full", "currencies").numbers;

/** code, name, short name where there is one. */
const rows = (entries, suffix = "-alt-short") =>
  table(Object.entries(entries).filter(([code]) => !code.includes("-alt-") && !code.includes("-menu-")).map(([code, name]) => (entries[code + suffix] === undefined ? [code, name] : [code, name, entries[code + suffix]])));

const calendars = { ...calendar, gregory: calendar.gregorian, ethioaa: calendar["ethiopic-amete-alem"] };
delete calendars.core;

const FIELDS = { era: "era", year: "year", quarter: "quarter", month: "month", weekOfYear: "week", weekday: "weekday", day: "day", dayPeriod: "dayperiod", hour: "hour", minute: "minute", second: "second", timeZoneName: "zone" };

export default {
  language: rows(names("languages").languages),
  region: rows(names("territories").territories),
  script: rows(names("scripts").scripts),
  variant: table(Object.entries(names("variants").variants).map(([code, name]) => [code.toLowerCase(), name])),
  calendar: rows(calendars),
  currency: table(Object.entries(currencies).map(([code, { displayName }]) => [code, displayName])),
  /** field; long, short, narrow name. */
  dateTimeField: table(Object.entries(FIELDS).map(([field, key]) => [field, ...["", "-short", "-narrow"].map((width) => fields[key + width].displayName)])),
};
