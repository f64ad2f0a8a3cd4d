// Warm-up: makes the objects that requests make once, while the base image is made. Their shapes are then in the
// image, and no request has to make them anew.
import native from "elias:native";
import { Headers } from "../fetch/headers.js";
import { Request } from "../fetch/request.js";
import { Response } from "../fetch/response.js";

native.keepShapes(true);
new Response("");
Response.json([{}], { status: 201, headers: { "content-type": "text/plain" } }).headers.get("content-type");
new Headers([["a", "b"]]).append("c", "d");
new Request("http://localhost/");
const { searchParams } = new URL("http://localhost/?a=b");
searchParams.get("a");
const resolved = async () => {};
resolved();
(function () {
  return arguments;
})();
/(a)(?<b>b)?/.exec("ab");
for (const [key, value] of Object.entries({ a: 1 })) void [key, value];
new Map([["a", 1]]).entries().next();
native.keepShapes(false);
