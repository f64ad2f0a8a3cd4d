// A locale's names of languages, regions, scripts, currencies and date fields.
import { hasFile, inLocale, table } from "./cldr.mjs";

const FIELDS = { era: "era", year: "year", quarter: "quarter", month: "month", weekOfYear: "week", weekday: "weekday", day: "day", dayPeriod: "dayperiod", hour: "hour", minute: "minute", second: "second", timeZoneName: "zone" };

/** code, name, short name where there is one. A name that is only the code is none. */
const rows = (entries, suffix = "-alt-short") =>
  table(Object.entries(entries)
    .filter(([code, name]) => !code.includes("-alt-") && !code.includes("-menu-") && name !== code)
    .map(([code, name]) => (entries[code + suffix] === undefined ? [code, name] : [code, name, entries[code + suffix]])));

export function names(tag) {
  const of = (file) => inLocale(tag, "cldr-localenames-full", file).localeDisplayNames;
  const { types: { calendar }, localeDisplayPattern } = of("localeDisplayNames");
  const { fields } = inLocale(tag, "cldr-dates-full", "dateFields").dates;
  const { currencies } = inLocale(tag, "cldr-numbers-full", "currencies").numbers;
  const calendars = { ...calendar, gregory: calendar.gregorian, ethioaa: calendar["ethiopic-amete-alem"] };
  delete calendars.core;
  return {
    /** How a name and what makes it more exact are put together, and how several of the latter are. */
    patterns: [localeDisplayPattern.localePattern, localeDisplayPattern.localeSeparator],
    language: rows(of("languages").languages),
    region: rows(of("territories").territories),
    script: rows(of("scripts").scripts),
    variant: table(Object.entries(hasFile(tag, "cldr-localenames-full", "variants") ? of("variants").variants : {}).map(([code, name]) => [code.toLowerCase(), name])),
    calendar: rows(calendars),
    currency: table(Object.entries(currencies).filter(([code, { displayName }]) => displayName !== undefined && displayName !== code).map(([code, { displayName }]) => [code, displayName])),
    /** field; long, short, narrow name. */
    dateTimeField: table(Object.entries(FIELDS).map(([field, key]) => [field, ...["", "-short", "-narrow"].map((width) => fields[key + width].displayName)])),
  };
}
