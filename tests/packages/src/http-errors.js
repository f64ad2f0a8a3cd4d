import contentType from "content-type";
import createError from "http-errors";
import Negotiator from "negotiator";

export default {
  async fetch(request) {
    const error = createError(404, "no such thing");
    return Response.json({ error: [error.status, error.message, error.expose, error instanceof createError.NotFound], type: contentType.parse("text/html; charset=utf-8"), languages: new Negotiator({ headers: { "accept-language": "de, en;q=0.8" } }).languages(["en", "de"]) });
  },
};
