import { addDays, differenceInCalendarDays, format, formatDistance, formatISO, isLeapYear, parse, parseISO } from "date-fns";
import { de } from "date-fns/locale/de";

export default {
  async fetch(request) {
    const date = new Date(2024, 1, 29, 12, 34, 56);
    return Response.json({
      format: format(date, "yyyy-MM-dd'T'HH:mm 'week' I EEEE do"),
      german: format(date, "EEEE, d. MMMM yyyy", { locale: de }),
      add: formatISO(addDays(date, 30), { representation: "date" }),
      days: differenceInCalendarDays(date, new Date(2020, 0, 1)),
      distance: formatDistance(date, new Date(2021, 5, 1)),
      parsed: parse("29.02.2024", "dd.MM.yyyy", new Date(0)).toISOString(),
      leap: isLeapYear(date),
      iso: parseISO("2024-02-29T10:00:00Z").getTime(),
    });
  },
};
