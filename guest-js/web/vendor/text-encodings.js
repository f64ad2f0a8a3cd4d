// The encodings of the Encoding Standard other than UTF-8; the tables of the multi-byte ones are unpacked when one is first used.
export { TextDecoder } from "@exodus/bytes/encoding.js";
