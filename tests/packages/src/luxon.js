import { DateTime, Duration, Interval } from "luxon";

export default {
  async fetch(request) {
    const date = DateTime.fromISO("2024-02-29T12:34:56Z", { zone: "utc" });
    return Response.json({
      iso: date.toISO(),
      format: date.toFormat("yyyy LLL dd, HH:mm"),
      long: date.setLocale("en-US").toLocaleString(DateTime.DATE_FULL),
      zone: date.setZone("America/New_York").toISO(),
      plus: date.plus({ months: 1 }).toISODate(),
      duration: Duration.fromObject({ hours: 25, minutes: 61 }).normalize().toISO(),
      days: Interval.fromDateTimes(date, date.plus({ days: 10 })).length("days"),
      week: date.weekNumber,
    });
  },
};
