// node:stream, by the package readable-stream.
export { default } from "readable-stream/lib/stream.js";
