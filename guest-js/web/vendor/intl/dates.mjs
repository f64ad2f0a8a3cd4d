// The date formats of a locale, in the Gregorian calendar.
import { inLocale, likely, supplemental, table } from "./cldr.mjs";

const STYLES = ["full", "long", "medium", "short"];
/** Fields that Intl.DateTimeFormat has. */
const KNOWN = /^[GyMLEcdaBHkhKmsSvzO]+$/;
const wanted = (skeleton, pattern) => KNOWN.test(skeleton) && KNOWN.test(pattern.replace(/'[^']*'/g, "").replace(/[^a-zA-Z]/g, ""));
const MONTHS = Array.from({ length: 12 }, (_, at) => String(at + 1));
const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/** The parts of a day that have names, in the order of the cells of `B`. */
const PERIODS = ["midnight", "noon", "morning1", "morning2", "afternoon1", "afternoon2", "evening1", "evening2", "night1", "night2"];

/** The rules of a language's parts of a day: number of the period, from, before (minutes of the day; equal for an instant). */
function periodRules(tag) {
  const sets = supplemental("dayPeriods").dayPeriodRuleSet;
  const minutes = (text) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3));
  return Object.entries(sets[tag] ?? sets[tag.split("-")[0]] ?? {}).map(([name, { _at, _from = _at, _before = _at }]) => [PERIODS.indexOf(name), minutes(_from), minutes(_before)]);
}

/** Names by letter and width, as in patterns: `M4` are the months as they are written in dates. */
function nameRows({ months, days, eras, dayPeriods }) {
  const rows = [];
  const add = (letter, alone, entries, keys, widths) => {
    for (const [length, width] of widths) {
      const cells = keys.map((key) => entries.format[width][key] ?? "");
      rows.push([letter + length, ...cells]);
      const own = keys.map((key) => entries["stand-alone"]?.[width][key] ?? "");
      if (alone !== "" && own.join() !== cells.join()) rows.push([alone + length, ...own]);
    }
  };
  const widths = [[3, "abbreviated"], [4, "wide"], [5, "narrow"]];
  add("M", "L", months, MONTHS, widths);
  add("E", "c", days, DAYS, [...widths, [6, "short"]]);
  add("a", "", dayPeriods, ["am", "pm"], widths);
  add("B", "", dayPeriods, PERIODS, widths);
  for (const [length, kind] of [[3, "eraAbbr"], [4, "eraNames"], [5, "eraNarrow"]]) rows.push([`G${length}`, eras[kind][0], eras[kind][1]]);
  return table(rows);
}

const DOTTED = /^[hHkK]/;

export function dates(tag) {
  const { gregorian } = inLocale(tag, "cldr-dates-full", "ca-gregorian").dates.calendars;
  const { fields } = inLocale(tag, "cldr-dates-full", "dateFields").dates;
  const { availableFormats, intervalFormats, appendItems } = gregorian.dateTimeFormats;
  const byStyle = (patterns) => Object.fromEntries(STYLES.map((style) => [style, patterns[style]]));
  const { language, region } = likely(tag);
  const { timeData } = supplemental("timeData");
  const preferred = (timeData[`${language}_${region}`] ?? timeData[region] ?? timeData["001"])._preferred;
  const { numbers } = inLocale(tag, "cldr-numbers-full", "numbers");
  return {
    decimal: (numbers[`symbols-numberSystem-${numbers.defaultNumberingSystem}`] ?? numbers["symbols-numberSystem-latn"]).decimal,
    cycle: DOTTED.test(preferred) ? { h: "h12", H: "h23", K: "h11", k: "h24" }[preferred[0]] : "h23",
    names: nameRows(gregorian),
    periods: periodRules(tag),
    dateFormats: byStyle(gregorian.dateFormats),
    timeFormats: byStyle(gregorian.timeFormats),
    dateTimeFormats: byStyle(gregorian["dateTimeFormats-atTime"].standard),
    dateTimeFormatsPlain: byStyle(gregorian.dateTimeFormats),
    /** In the order in which ICU has them. */
    available: table(Object.entries(availableFormats).filter(([skeleton, pattern]) => wanted(skeleton, pattern)).sort(([a], [b]) => (a < b ? -1 : 1))),
    intervalFallback: intervalFormats.intervalFormatFallback,
    intervals: table(
      Object.entries(intervalFormats)
        .filter(([skeleton]) => skeleton !== "intervalFormatFallback")
        .flatMap(([skeleton, patterns]) => Object.entries(patterns).filter(([field, pattern]) => !field.includes("-") && wanted(skeleton, pattern)).map(([field, pattern]) => [`${skeleton}/${field}`, pattern])),
    ),
    append: Object.fromEntries(Object.entries(appendItems)),
    fieldNames: Object.fromEntries(["era", "year", "month", "weekday", "day", "dayperiod", "hour", "minute", "second", "zone"].map((name) => [name, fields[name].displayName])),
  };
}
