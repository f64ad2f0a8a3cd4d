// How dates are written in English.
import { english, table } from "./cldr.mjs";

export const madeFrom = ["cldr-dates-full"];

const gregorian = english("cldr-dates-full", "ca-gregorian").dates.calendars.gregorian;
const { fields } = english("cldr-dates-full", "dateFields").dates;
const { availableFormats, intervalFormats, appendItems } = gregorian.dateTimeFormats;
const wanted = (skeleton) => !skeleton.includes("-") && !/[QwW]/.test(skeleton);

export default {
  dateFormats: gregorian.dateFormats,
  timeFormats: Object.fromEntries(["full", "long", "medium", "short"].map((style) => [style, gregorian.timeFormats[style]])),
  dateTimeFormats: Object.fromEntries(["full", "long", "medium", "short"].map((style) => [style, gregorian["dateTimeFormats-atTime"].standard[style]])),
  dateTimeFormatsPlain: Object.fromEntries(["full", "long", "medium", "short"].map((style) => [style, gregorian.dateTimeFormats[style]])),
  available: table(Object.entries(availableFormats).filter(([skeleton]) => wanted(skeleton))),
  intervalFallback: intervalFormats.intervalFormatFallback,
  intervals: table(
    Object.entries(intervalFormats)
      .filter(([skeleton]) => skeleton !== "intervalFormatFallback" && wanted(skeleton))
      .flatMap(([skeleton, patterns]) => Object.entries(patterns).filter(([field]) => !field.includes("-")).map(([field, pattern]) => [`${skeleton}/${field}`, pattern])),
  ),
  append: Object.fromEntries(Object.entries(appendItems)),
  fieldNames: Object.fromEntries(["era", "year", "month", "weekday", "day", "dayperiod", "hour", "minute", "second", "zone"].map((name) => [name, fields[name].displayName])),
};
