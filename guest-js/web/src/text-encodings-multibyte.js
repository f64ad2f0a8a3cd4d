// What TextDecoder decodes beside UTF-8, the encodings of Chinese, Japanese and Korean included.
import { registry } from "./registry.js";
import { TextDecoder } from "./vendor/text-encodings-multibyte.js";

registry.EncodingDecoder = TextDecoder;
