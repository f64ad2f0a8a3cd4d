import dayjs from "dayjs";
import relativeTime from "dayjs/plugin/relativeTime.js";
import utc from "dayjs/plugin/utc.js";

dayjs.extend(utc);
dayjs.extend(relativeTime);

export default {
  async fetch(request) {
    const date = dayjs.utc("2024-02-29T12:34:56Z");
    return Response.json({
      format: date.format("YYYY-MM-DD HH:mm:ss dddd"),
      add: date.add(1, "month").toISOString(),
      diff: date.diff(dayjs.utc("2020-01-01"), "day"),
      from: date.from(dayjs.utc("2024-03-10")),
      end: date.endOf("month").toISOString(),
    });
  },
};
