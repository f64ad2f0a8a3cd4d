// The encodings of the Encoding Standard beside UTF-8, without the tables of the multi-byte ones.
export { TextDecoder } from "@exodus/bytes/encoding-lite.js";
