export { default } from "readable-stream/lib/stream.js";
