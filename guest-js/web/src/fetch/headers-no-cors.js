// The guard "request-no-cors" of Headers: such a request has CORS-safelisted headers only.
// https://fetch.spec.whatwg.org/#concept-headers-guard (5.1), #no-cors-safelisted-request-header (2.2.2)
import native from "elias:native";
import { registry } from "../internal/registry.js";

const VALUE_LENGTH_MAX = 128;
const NAMES = ["accept", "accept-language", "content-language", "content-type"];
const TYPES = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"];
const UNSAFE = /[\x00-\x08\x0a-\x1f\x7f"():<>?@[\\\]{}]/;
const LANGUAGE = /^[0-9A-Za-z *,\-.;=]*$/;

/** Whether a header may be in such a request; `before` is the value that it has already, or null. */
registry.allowsNoCors = (name, value, before) => {
  if (!NAMES.includes(name)) return false;
  if (before !== null) value = `${before}, ${value}`;
  if (value.length > VALUE_LENGTH_MAX) return false;
  if (name === "accept-language" || name === "content-language") return LANGUAGE.test(value);
  if (UNSAFE.test(value)) return false;
  return name === "accept" || TYPES.includes(native.mimeType(value)?.[1]);
};
