// Problem documents (RFC 9457): the error responses of the forms.
import { Response } from "../fetch/response.js";

const TITLES = {
  400: "Bad Request",
  404: "Not Found",
  405: "Method Not Allowed",
  415: "Unsupported Media Type",
  422: "Unprocessable Content",
};

/** A response with a problem document; `members` are added to it. */
export function problem(status, code, detail, members = undefined, headers = undefined) {
  const document = { title: TITLES[status] ?? "Error", status, code, detail, ...members };
  return new Response(JSON.stringify(document), { status, headers: { ...headers, "content-type": "application/problem+json" } });
}

/** An error that a handler throws to answer with its `status`, from 400 to 599, and its message. */
export class HttpError extends Error {
  constructor(status, message = TITLES[status] ?? "Error", options = undefined) {
    super(message, options);
    this.name = "HttpError";
    this.status = status;
    this.code = options?.code ?? "http-error";
  }

  get response() {
    return problem(this.status, this.code, this.message);
  }
}
