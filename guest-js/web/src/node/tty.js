// node:tty: nothing is a terminal. https://nodejs.org/api/tty.html
import { unavailable } from "./internal/errors.js";

export const isatty = () => false;

export class ReadStream {
  constructor() {
    throw unavailable("tty.ReadStream", "There is no terminal.");
  }
}

export class WriteStream {
  constructor() {
    throw unavailable("tty.WriteStream", "There is no terminal; use `console`.");
  }
}

export default { isatty, ReadStream, WriteStream };
