// node:string_decoder, by the package string_decoder.
export { default } from "string_decoder/lib/string_decoder.js";
