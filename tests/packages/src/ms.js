import ms from "ms";

export default {
  async fetch(request) {
    return Response.json([ms("2 days"), ms("1.5h"), ms(60000), ms(172800000, { long: true })]);
  },
};
