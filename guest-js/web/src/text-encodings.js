// What TextDecoder decodes beside UTF-8: UTF-16 and the encodings of one byte a character.
import { registry } from "./registry.js";
import { TextDecoder } from "./vendor/text-encodings.js";

registry.EncodingDecoder ??= TextDecoder;
