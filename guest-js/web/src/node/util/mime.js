// util.MIMEType and util.MIMEParams, after https://mimesniff.spec.whatwg.org.
// https://nodejs.org/api/util.html#class-utilmimetype
import { nodeError } from "../internal/errors.js";

const NOT_OF_TOKEN = /[^!#$%&'*+\-.^_`|~A-Za-z0-9]/;
const NOT_OF_QUOTED = /[^\t\u0020-~\u0080-\u00FF]/;
const LEADING_SPACE = /^[\r\n\t ]*/;
// The first group is a backslash that nothing follows, the second the closing quote.
const QUOTED = /^(?:(\\$)|\\[\s\S]|[^"])*(?:(")|$)/;

function invalid(production, text, at) {
  return nodeError(
    TypeError,
    "ERR_INVALID_MIME_SYNTAX",
    `The MIME syntax for a ${production} in "${text}" is invalid${at === -1 ? "" : ` at ${at}`}`,
  );
}

/** A regular expression would begin anew at each space of a long run. */
function withoutTrailingSpace(text) {
  let end = text.length;
  while (end > 0 && "\r\n\t ".includes(text[end - 1])) end--;
  return text.slice(0, end);
}

const toLower = (text) => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());

/** The token in lower case; `whole` is the text that a message shows. */
function checkToken(production, token, whole = token) {
  const at = token.search(NOT_OF_TOKEN);
  if (token === "" || at !== -1) throw invalid(production, whole, at);
  return toLower(token);
}

function encoded(value) {
  return value !== "" && !NOT_OF_TOKEN.test(value) ? value : `"${value.replace(/["\\]/g, "\\$&")}"`;
}

/** Puts the parameters of the text into the map. What is not well formed is passed over; the first of a name counts. */
function parseParameters(source, into) {
  const text = withoutTrailingSpace(source);
  for (let at = 0; at < text.length; at++) {
    at += LEADING_SPACE.exec(text.slice(at))[0].length;
    const length = text.slice(at).search(/[;=]|$/);
    const name = toLower(text.slice(at, at + length));
    at += length;
    if (text[at] === ";") continue;
    at++;
    if (at >= text.length) break;
    let value;
    if (text[at] === '"') {
      const [quoted, backslash, end] = QUOTED.exec(text.slice(++at));
      at += quoted.length;
      value = (backslash || end ? quoted.slice(0, -1) : quoted).replace(/\\([\s\S])/g, "$1") + (backslash ?? "");
    } else {
      const end = text.indexOf(";", at);
      const raw = end === -1 ? text.slice(at) : text.slice(at, end);
      at += raw.length;
      value = withoutTrailingSpace(raw);
      if (value === "") continue;
    }
    if (name !== "" && !NOT_OF_TOKEN.test(name) && !NOT_OF_QUOTED.test(value) && !into.has(name)) into.set(name, value);
  }
}

export class MIMEParams {
  #values = new Map();

  /** The parameters of a text that follows a type. */
  static parse(text) {
    const params = new MIMEParams();
    parseParameters(text, params.#values);
    return params;
  }

  delete(name) {
    this.#values.delete(name);
  }

  get(name) {
    return this.#values.get(name) ?? null;
  }

  has(name) {
    return this.#values.has(name);
  }

  set(name, value) {
    const [key, text] = [`${name}`, `${value}`];
    const atName = key.search(NOT_OF_TOKEN);
    if (key === "" || atName !== -1) throw invalid("parameter name", key, atName);
    const atValue = text.search(NOT_OF_QUOTED);
    if (atValue !== -1) throw invalid("parameter value", text, atValue);
    this.#values.set(key, text);
  }

  *entries() {
    yield* this.#values.entries();
  }

  *keys() {
    yield* this.#values.keys();
  }

  *values() {
    yield* this.#values.values();
  }

  toString() {
    return Array.from(this.#values, ([name, value]) => `${name}=${encoded(value)}`).join(";");
  }
}
const { parse } = MIMEParams;
delete MIMEParams.parse;
Object.defineProperties(MIMEParams.prototype, {
  [Symbol.iterator]: { value: MIMEParams.prototype.entries, writable: true, configurable: true },
  toJSON: { value: MIMEParams.prototype.toString, writable: true, configurable: true },
});

export class MIMEType {
  #type;
  #subtype;
  #params;

  constructor(input) {
    const text = `${input}`;
    const slash = text.indexOf("/");
    const type = (slash === -1 ? text : text.slice(0, slash)).replace(LEADING_SPACE, "");
    if (slash === -1) throw invalid("type", text, type.search(NOT_OF_TOKEN));
    this.#type = checkToken("type", type, text);
    const end = text.indexOf(";", slash);
    const subtype = withoutTrailingSpace(end === -1 ? text.slice(slash + 1) : text.slice(slash + 1, end));
    this.#subtype = checkToken("subtype", subtype, text);
    this.#params = parse(end === -1 ? "" : text.slice(end + 1));
  }

  get type() {
    return this.#type;
  }

  set type(value) {
    this.#type = checkToken("type", `${value}`);
  }

  get subtype() {
    return this.#subtype;
  }

  set subtype(value) {
    this.#subtype = checkToken("subtype", `${value}`);
  }

  get essence() {
    return `${this.#type}/${this.#subtype}`;
  }

  get params() {
    return this.#params;
  }

  toString() {
    const params = this.#params.toString();
    return params === "" ? this.essence : `${this.essence};${params}`;
  }
}
const { toString } = MIMEType.prototype;
Object.defineProperty(MIMEType.prototype, "toJSON", { value: toString, writable: true, configurable: true });
