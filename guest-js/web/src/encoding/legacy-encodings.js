// TextDecoder for the encodings other than UTF-8. https://encoding.spec.whatwg.org/#names-and-labels (4.2)
import { registry } from "../internal/registry.js";
import { TextDecoder } from "../vendor/text-encodings.js";

registry.EncodingDecoder = TextDecoder;
