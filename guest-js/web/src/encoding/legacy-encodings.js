// What TextDecoder decodes beside UTF-8.
import { registry } from "../internal/registry.js";
import { TextDecoder } from "../vendor/text-encodings.js";

registry.EncodingDecoder = TextDecoder;
