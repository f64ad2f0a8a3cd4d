import moment from "moment";

export default {
  async fetch(request) {
    const date = moment.utc("2024-02-29T12:34:56Z");
    return Response.json([date.format("dddd, MMMM Do YYYY, h:mm:ss a"), date.clone().add(1, "month").toISOString(), date.from(moment.utc("2024-03-10")), moment.duration(3661, "seconds").humanize(), moment("29.02.2024", "DD.MM.YYYY", true).isValid()]);
  },
};
