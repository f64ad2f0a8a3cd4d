// Formats a value as text for console.log and util.inspect, in the format of Node's util.inspect.
// The Console standard leaves it to the implementation: https://console.spec.whatwg.org/#printer (2.3)
import { inspect as fieldsOf } from "../webidl/interfaces.js";

const LINE = 72;
const MAX_ITEMS = 100;
const MAX_STRING = 10000;
const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;
const NEEDS_ESCAPE = /['\\\u0000-\u001f\u007f-\u009f]/;
// By which packages say how they are shown: https://nodejs.org/api/util.html#utilinspectcustom
const customInspect = Symbol.for("nodejs.util.inspect.custom");
const TypedArray = Object.getPrototypeOf(Uint8Array);

/** The text for `value`; objects nested deeper than `depth` are only named. */
export function inspect(value, depth = 2) {
  return format(value, { depth, path: [], circular: undefined });
}

/** Quotes as Node does: with the first kind of quote that needs no escaping. */
function quote(text) {
  if (text.length > MAX_STRING) {
    return `${quote(text.slice(0, MAX_STRING))}... ${text.length - MAX_STRING} more characters`;
  }
  // The JSON form of a text without escapes is longer by its quotes; to make it costs less than to match.
  const json = JSON.stringify(text);
  if (json.length === text.length + 2 && !text.includes("'")) return `'${text}'`;
  if (!NEEDS_ESCAPE.test(text)) return `'${text}'`;
  const body = json.slice(1, -1);
  if (!text.includes("'")) return `'${body.replaceAll('\\"', '"')}'`;
  if (!text.includes('"')) return `"${body}"`;
  const inner = body.replaceAll('\\"', '"');
  return text.includes("`") ? `'${inner.replaceAll("'", "\\'")}'` : `\`${inner}\``;
}

function format(value, context) {
  switch (typeof value) {
    case "string":
      return quote(value);
    case "bigint":
      return `${value}n`;
    case "number":
      return Object.is(value, -0) ? "-0" : `${value}`;
    case "object":
    case "function":
      return value === null ? "null" : formatObject(value, context);
    default:
      return String(value);
  }
}

function formatObject(value, context) {
  const { path } = context;
  if (path.includes(value)) {
    const circular = (context.circular ??= new Map());
    if (!circular.has(value)) circular.set(value, circular.size + 1);
    return `[Circular *${circular.get(value)}]`;
  }
  try {
    const custom = value[customInspect];
    if (typeof custom === "function") {
      const shown = custom.call(value, context.depth - path.length, {}, inspect);
      if (shown !== value) return typeof shown === "string" ? shown : format(shown, context);
    }
    const shape = shapeOf(value);
    const keys = shape.keys ?? ownKeys(value, shape.skip);
    if (shape.items === undefined && keys.length === 0 && shape.alone !== undefined) return shape.alone;
    if (path.length > context.depth) return shape.short ?? shape.alone ?? `[${shape.name}]`;
    path.push(value);
    const entries = shape.items === undefined ? [] : shape.items(context);
    for (const key of keys) entries.push(formatProperty(shape.source ?? value, key, context));
    path.pop();
    const [open, close] = shape.braces ?? ["{", "}"];
    const prefix = shape.prefix === "" ? open : `${shape.prefix} ${open}`;
    const text = layOut(prefix, entries, close, shape.packed);
    const number = context.circular?.get(value);
    return number === undefined ? text : `<ref *${number}> ${text}`;
  } catch (error) {
    // A getter, a proxy's trap or a toStringTag of the script's can throw, and a log call must not.
    if (path.at(-1) === value) path.pop();
    return `[object that cannot be shown: ${error?.message}]`;
  }
}

/**
 * How an object is shown: its `prefix` before the braces, its `items` before the properties, the text that stands `alone`
 * for it when it has no properties, the `short` text when it is too deep, and the `source` of its `keys` if not itself.
 */
function shapeOf(value) {
  // The commonest: nothing below holds of an object literal, but what it says its tag is.
  const isPlain = typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype && !Array.isArray(value);
  if (isPlain && Object.prototype.constructor === Object) return plainShape(value, "Object");
  const name = nameOf(value);
  if (typeof value === "function") {
    const alone = functionText(value);
    return { name, prefix: alone, alone };
  }
  if (Array.isArray(value)) {
    const prefix = name === "Array" ? "" : `${name}(${value.length})`;
    return { name, prefix, braces: ["[", "]"], packed: true, short: `[${name}]`, skip: isIndex, items: (it) => arrayItems(value, it) };
  }
  if (value instanceof Error) {
    const alone = errorText(value);
    const skip = (key) => key === "stack" || key === "message" || key === "name" || key === "cause";
    const keys = ownKeys(value, skip);
    if (Object.hasOwn(value, "cause")) keys.push("cause");
    if (Array.isArray(value.errors) && !keys.includes("errors")) keys.push("errors");
    return { name, prefix: alone, alone, keys };
  }
  if (typeof value[fieldsOf] === "function") {
    const source = value[fieldsOf]();
    return { name, prefix: name, source, keys: Reflect.ownKeys(source), short: `[${name}]` };
  }
  if (value instanceof TypedArray) {
    const items = () => limited([...value.subarray(0, MAX_ITEMS)].map((it) => format(it)), value.length);
    return { name, prefix: `${name}(${value.length})`, braces: ["[", "]"], packed: true, short: `[${name}]`, skip: isIndex, items };
  }
  if (value instanceof Map) {
    const items = (it) => limitedItems(value, value.size, ([key, item]) => `${format(key, it)} => ${format(item, it)}`);
    return { name, prefix: `${name}(${value.size})`, short: `[${name}]`, items };
  }
  if (value instanceof Set) {
    const items = (it) => limitedItems(value, value.size, (item) => format(item, it));
    return { name, prefix: `${name}(${value.size})`, short: `[${name}]`, items };
  }
  if (value instanceof Date) {
    const alone = Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
    return { name, prefix: alone, alone };
  }
  if (value instanceof RegExp) return { name, prefix: `${value}`, alone: `${value}` };
  if (value instanceof ArrayBuffer) {
    const bytes = [...new Uint8Array(value, 0, Math.min(value.byteLength, 50))];
    const more = value.byteLength > 50 ? ` ... ${value.byteLength - 50} more bytes` : "";
    const hex = bytes.map((byte) => (byte + 0x100).toString(16).slice(1)).join(" ");
    return { name, prefix: name, items: () => [`[Uint8Contents]: <${hex}${more}>`, `byteLength: ${value.byteLength}`] };
  }
  for (const Wrapper of [Number, String, Boolean, BigInt, Symbol]) {
    if (value instanceof Wrapper) {
      const alone = `[${Wrapper.name}: ${format(value.valueOf())}]`;
      return { name, prefix: alone, alone, skip: Wrapper === String ? isIndex : undefined };
    }
  }
  if (value instanceof WeakMap || value instanceof WeakSet) {
    return { name, prefix: name, items: () => ["<items unknown>"] };
  }
  return plainShape(value, name);
}

function plainShape(value, name) {
  const tag = value[Symbol.toStringTag];
  const prefix = typeof tag === "string" && tag !== "" && tag !== name ? `${name} [${tag}]` : name === "Object" ? "" : name;
  return { name, prefix, alone: prefix === "" ? "{}" : `${prefix} {}`, short: `[${prefix || "Object"}]` };
}

function nameOf(value) {
  for (let proto = Object.getPrototypeOf(value); proto !== null; proto = Object.getPrototypeOf(proto)) {
    const constructor = Object.getOwnPropertyDescriptor(proto, "constructor")?.value;
    if (typeof constructor === "function" && constructor.name !== "") return constructor.name;
  }
  return "[Object: null prototype]";
}

function functionText(value) {
  const source = Function.prototype.toString.call(value);
  if (source.startsWith("class")) {
    const parent = Object.getPrototypeOf(value)?.name;
    return `[class ${value.name || "(anonymous)"}${parent ? ` extends ${parent}` : ""}]`;
  }
  const kind = nameOf(value);
  return value.name ? `[${kind}: ${value.name}]` : `[${kind} (anonymous)]`;
}

/** An error with its stack, which begins with the error as it was when it was made. As in Node.js, a name that it got later is shown. */
function errorText(error) {
  const name = error.name || nameOf(error);
  const title = error.message ? `${name}: ${error.message}` : `${name}`;
  const stack = typeof error.stack === "string" ? error.stack.trimEnd() : "";
  if (stack === "" || stack === title) return `[${title}]`;
  if (/^\s+at /.test(stack)) return `${title}\n${stack}`;
  const made = /^[A-Z][\w$ -]*(?=:|\n\s+at |$)/.exec(stack);
  return made === null || stack.slice(0, stack.indexOf("\n") >>> 0).includes(name) ? stack : `${name}${stack.slice(made[0].length)}`;
}

function isIndex(key) {
  return typeof key === "string" && /^(?:0|[1-9]\d*)$/.test(key);
}

function ownKeys(value, skip) {
  // Most objects have neither symbols nor anything to skip, and Object.keys makes no descriptor of each property.
  if (skip === undefined && Object.getOwnPropertySymbols(value).length === 0) return Object.keys(value);
  return Reflect.ownKeys(value).filter(
    (key) => !skip?.(key) && Object.getOwnPropertyDescriptor(value, key)?.enumerable,
  );
}

function formatProperty(value, key, context) {
  const descriptor = Object.getOwnPropertyDescriptor(value, key);
  let text;
  if (descriptor.get) text = descriptor.set ? "[Getter/Setter]" : "[Getter]";
  else if (descriptor.set) text = "[Setter]";
  else text = format(descriptor.value, context);
  if (typeof key === "symbol") return `[${String(key)}]: ${text}`;
  if (!descriptor.enumerable) return `[${key}]: ${text}`;
  return `${isIdentifier(key) ? key : quote(key)}: ${text}`;
}

/** Whether a key needs no quotes. Short ones in small letters, which most are, are looked at without a regular expression. */
function isIdentifier(key) {
  const { length } = key;
  if (length === 0 || length > 16) return IDENTIFIER.test(key);
  for (let at = 0; at < length; at++) if (key[at] < "a" || key[at] > "z") return IDENTIFIER.test(key);
  return true;
}

function arrayItems(array, context) {
  const texts = [];
  let at = 0;
  for (; at < array.length && texts.length < MAX_ITEMS; at++) {
    if (Object.hasOwn(array, at)) {
      texts.push(format(array[at], context));
      continue;
    }
    let end = at + 1;
    while (end < array.length && !Object.hasOwn(array, end)) end++;
    texts.push(`<${end - at} empty item${end - at === 1 ? "" : "s"}>`);
    at = end - 1;
  }
  return limited(texts, texts.length + array.length - at);
}

function limitedItems(iterable, size, toText) {
  const texts = [];
  for (const item of iterable) {
    if (texts.length === MAX_ITEMS) break;
    texts.push(toText(item));
  }
  return limited(texts, size);
}

function limited(texts, total) {
  const more = total - texts.length;
  if (more > 0) texts.push(`... ${more} more item${more === 1 ? "" : "s"}`);
  return texts;
}

/** On one line if it fits, otherwise an entry a line; short items of a long list share lines. */
function layOut(open, entries, close, packed) {
  if (entries.length === 0) return `${open}${close}`;
  let { length } = open;
  let isOneLine = true;
  for (let at = 0; at < entries.length && length <= LINE; at++) {
    length += entries[at].length + 2;
    isOneLine &&= !entries[at].includes("\n");
  }
  if (length <= LINE && isOneLine) return `${open} ${entries.join(", ")} ${close}`;
  const separator = "\n  ";
  if (!packed || entries.length <= 6 || entries.some((it) => it.length > 16)) {
    return `${open}${separator}${entries.map((it) => it.replaceAll("\n", separator)).join(`,${separator}`)}\n${close}`;
  }
  const lines = [""];
  for (const entry of entries) {
    const line = lines[lines.length - 1];
    if (line === "") lines[lines.length - 1] = entry;
    else if (line.length + entry.length + 2 > LINE) lines.push(entry);
    else lines[lines.length - 1] = `${line}, ${entry}`;
  }
  return `${open}${separator}${lines.join(`,${separator}`)}\n${close}`;
}
