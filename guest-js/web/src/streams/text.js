// TextEncoderStream and TextDecoderStream. https://encoding.spec.whatwg.org/#interface-textencoderstream (7.5, 7.6)
import { TextDecoder, TextEncoder } from "../encoding/text.js";
import { defineInterface } from "../webidl/interfaces.js";
import { TransformStream } from "./transform.js";

const encoder = new TextEncoder();

export class TextEncoderStream {
  #transform;

  constructor() {
    // The first half of a surrogate pair at the end of a chunk waits for the next chunk.
    let lead = "";
    this.#transform = new TransformStream({
      transform(chunk, controller) {
        let text = lead + chunk;
        lead = "";
        const last = text.charCodeAt(text.length - 1);
        if (last >= 0xd800 && last <= 0xdbff) {
          lead = text.slice(-1);
          text = text.slice(0, -1);
        }
        if (text !== "") controller.enqueue(encoder.encode(text));
      },
      flush(controller) {
        if (lead !== "") controller.enqueue(encoder.encode("\ufffd"));
      },
    });
  }

  get encoding() {
    if (!(#transform in this)) throw new TypeError("not a TextEncoderStream");
    return "utf-8";
  }

  get readable() {
    return this.#transform.readable;
  }

  get writable() {
    return this.#transform.writable;
  }
}

export class TextDecoderStream {
  #decoder;
  #transform;

  constructor(label = "utf-8", options = undefined) {
    const decoder = new TextDecoder(label, options);
    this.#decoder = decoder;
    this.#transform = new TransformStream({
      transform(chunk, controller) {
        // For decode() itself undefined stands for no bytes.
        if (chunk === undefined) throw new TypeError("a chunk must be an ArrayBuffer or a view on one");
        const text = decoder.decode(chunk, { stream: true });
        if (text !== "") controller.enqueue(text);
      },
      flush(controller) {
        const text = decoder.decode();
        if (text !== "") controller.enqueue(text);
      },
    });
  }

  get encoding() {
    return this.#decoder.encoding;
  }

  get fatal() {
    return this.#decoder.fatal;
  }

  get ignoreBOM() {
    return this.#decoder.ignoreBOM;
  }

  get readable() {
    return this.#transform.readable;
  }

  get writable() {
    return this.#transform.writable;
  }
}

defineInterface(TextEncoderStream);
defineInterface(TextDecoderStream);
