// Formats a value as text for console.log and util.inspect, in the format of Node's util.inspect and with its options.
// The Console standard leaves it to the implementation: https://console.spec.whatwg.org/#printer (2.3)
import native from "elias:native";
import { inspect as fieldsOf } from "../webidl/interfaces.js";
import { errorText, nameOf, prefixOf } from "./inspect-names.js";
import { layOut } from "./layout.js";
import { escape, formatPrimitive, plural, quote } from "./primitives.js";

const IDENTIFIER = /^[A-Za-z_]\w*$/;
// By which packages say how they are shown: https://nodejs.org/api/util.html#utilinspectcustom
const customInspect = Symbol.for("nodejs.util.inspect.custom");
const TypedArray = Object.getPrototypeOf(Uint8Array);
const nameOfTyped = Object.getOwnPropertyDescriptor(TypedArray.prototype, Symbol.toStringTag).get;
const sizeOfMap = Object.getOwnPropertyDescriptor(Map.prototype, "size").get;
const sizeOfSet = Object.getOwnPropertyDescriptor(Set.prototype, "size").get;

/** The options of util.inspect with their defaults, which a program may change. */
export const defaultOptions = {
  showHidden: false,
  depth: 2,
  colors: false,
  customInspect: true,
  showProxy: false,
  maxArrayLength: 100,
  maxStringLength: 10000,
  breakLength: 80,
  compact: 3,
  sorted: false,
  getters: false,
  numericSeparator: false,
};
const OPTIONS = Object.keys(defaultOptions);

/** Color sequences by name, and which of them each kind of value has. */
export const colors = { __proto__: null };
export const styles = {
  __proto__: null,
  special: "cyan",
  number: "yellow",
  bigint: "yellow",
  boolean: "yellow",
  undefined: "grey",
  null: "bold",
  string: "green",
  symbol: "green",
  date: "magenta",
  regexp: "red",
  module: "underline",
};

/** The text for `value`, by the options of util.inspect. */
export function inspect(value, options = undefined) {
  const context = {
    ...defaultOptions,
    path: [],
    circular: undefined,
    indentation: 0,
    deepest: 0,
    stylize: (text) => text,
    options: undefined,
  };
  if (options !== undefined) {
    context.options = options;
    for (const name of OPTIONS) if (options[name] !== undefined) context[name] = options[name];
  }
  // Also of the defaults, which a program may have changed.
  if (context.depth === null) context.depth = Infinity;
  if (context.maxArrayLength === null) context.maxArrayLength = Infinity;
  if (context.maxStringLength === null) context.maxStringLength = Infinity;
  if (context.colors) context.stylize = inColor;
  return format(value, context);
}

function inColor(text, kind) {
  const codes = colors[styles[kind]];
  return codes === undefined ? text : `\u001b[${codes[0]}m${text}\u001b[${codes[1]}m`;
}

function format(value, context) {
  return (typeof value !== "object" || value === null) && typeof value !== "function"
    ? formatPrimitive(value, context)
    : formatObject(value, context);
}

/** The text by an object's own formatter, undefined if it has none. */
function customText(value, context) {
  const custom = value[customInspect];
  if (typeof custom !== "function" || value.constructor?.prototype === value) return undefined;
  const { indentation, path, stylize } = context;
  const depth = context.depth === Infinity ? null : context.depth - path.length;
  const options = { stylize };
  for (const name of OPTIONS) options[name] = context[name];
  options.depth = depth;
  const shown = custom.call(value, depth, options, inspectFor(context));
  if (shown === value) return undefined;
  return typeof shown === "string" ? shown.replaceAll("\n", `\n${" ".repeat(indentation)}`) : format(shown, context);
}

/** The function that a custom formatter calls for its parts. */
const inspectFor = (context) => context.options?.inspect ?? inspect;

function formatObject(value, context) {
  const { path } = context;
  const depth = path.length;
  const { indentation } = context;
  try {
    const target = native.proxyTarget(value);
    if (target !== undefined) {
      if (context.showProxy) return formatProxy(target, context);
      value = target[0];
      if (value === null) return context.stylize("<Revoked Proxy>", "special");
      if (native.proxyTarget(value) !== undefined) return formatObject(value, context);
    }
    if (context.customInspect) {
      const custom = customText(value, context);
      if (custom !== undefined) return custom;
    }
    if (path.includes(value)) {
      const circular = (context.circular ??= new Map());
      if (!circular.has(value)) circular.set(value, circular.size + 1);
      return context.stylize(`[Circular *${circular.get(value)}]`, "special");
    }
    return formatRaw(value, context);
  } catch (error) {
    // A getter, a proxy's trap or a toStringTag of the script's can throw, and a log call must not.
    path.length = depth;
    context.indentation = indentation;
    return `[object that cannot be shown: ${error?.message}]`;
  }
}

function formatProxy([target, handler], context) {
  if (context.path.length > context.depth) return context.stylize("Proxy [Array]", "special");
  context.indentation += 2;
  context.path.push(target);
  context.deepest = context.path.length;
  const parts = [format(target, { ...context, path: context.path.slice(0, -1) }), format(handler, context)];
  context.path.pop();
  context.indentation -= 2;
  return layOut(context, parts, "", ["Proxy [", "]"], context.path.length + 1, parts);
}

function formatRaw(value, context) {
  const { path } = context;
  const shape = shapeOf(value, context);
  const keys = shape.keys ?? ownKeys(value, context, shape.skip);
  const isEmpty = keys.length === 0;
  if (isEmpty && shape.items === undefined) {
    if (shape.base !== "") return shape.alone;
    return `${shape.braces[0]}${shape.braces[1]}`;
  }
  if (isEmpty && shape.isEmpty) return `${shape.braces[0]}${shape.braces[1]}`;
  if (path.length > context.depth) return shape.short ?? context.stylize(`[${shape.name}]`, "special");
  path.push(value);
  const level = path.length;
  context.deepest = level;
  const entries = shape.items === undefined ? [] : shape.items(context);
  const count = entries.length;
  const source = shape.source ?? value;
  for (let at = 0; at < keys.length; at++) entries.push(formatProperty(source, keys[at], context, value));
  path.pop();
  if (context.sorted) {
    const order = context.sorted === true ? undefined : context.sorted;
    entries.push(...entries.splice(shape.isList ? count : 0).sort(order));
  }
  let { base } = shape;
  let [open, close] = shape.braces;
  const number = context.circular?.get(value);
  if (number !== undefined) {
    const reference = context.stylize(`<ref *${number}>`, "special");
    if (context.compact === true) open = `${reference} ${open}`;
    else base = base === "" ? reference : `${reference} ${base}`;
  }
  return layOut(context, entries, base, [open, close], level, shape.isList ? value : undefined);
}

/**
 * How an object is shown: the `base` before its `braces`, its `items` before the properties, the `name` that stands for
 * it when it is too deep, the `skip`ped keys or the `source` of other `keys`, and whether it is a list.
 */
function shapeOf(value, context) {
  if (isLiteral(value)) return LITERAL;
  const name = nameOf(value, context);
  const tag = tagOf(value, context);
  if (Array.isArray(value)) {
    const prefix = name === "Array" && tag === "" ? "" : prefixOf(name, tag, "Array", `(${value.length})`);
    const braces = [`${prefix}[`, "]"];
    const items = (it) => arrayItems(value, it);
    const more = shortOf(name, tag, "Array");
    return { base: "", braces, items, isEmpty: value.length === 0, isList: true, skip: isIndex, ...more };
  }
  if (typeof value === "function") return alone(functionText(value, name, tag), "special", context);
  const shape = collectionShape(value, name, tag, context) ?? boxShape(value, name, tag, context);
  return shape ?? otherShape(value, name, tag);
}

const LITERAL = { base: "", braces: ["{", "}"], name: "Object" };

/** Whether it is an object as a literal makes them, which most are: nothing else has to be looked for then. */
function isLiteral(value) {
  if (Object.getPrototypeOf(value) !== Object.prototype || Object.prototype.constructor !== Object) return false;
  return value[Symbol.toStringTag] === undefined && Object.prototype.toString.call(value) === "[object Object]";
}

const shortOf = (name, tag, fallback) => ({ name: prefixOf(name, tag, fallback).slice(0, -1) });

const bracesOf = (name, tag, fallback, size = "") => [`${prefixOf(name, tag, fallback, size)}{`, "}"];

function alone(base, style, context, more = {}) {
  const text = context.stylize(base, style);
  return { base, alone: text, braces: ["{", "}"], name: base, short: text, ...more };
}

function collectionShape(value, name, tag, context) {
  if (ArrayBuffer.isView(value)) {
    if (!(value instanceof TypedArray)) {
      const items = (it) => ["byteLength", "byteOffset", "buffer"].map((key) => formatField(key, value[key], it));
      return { base: "", braces: bracesOf(name, tag, "DataView"), items, ...shortOf(name, tag, "DataView") };
    }
    const kind = nameOfTyped.call(value);
    const braces = [`${prefixOf(name, tag, kind, `(${value.length})`)}[`, "]"];
    const isEmpty = value.length === 0 && !context.showHidden;
    const items = (it) => typedItems(value, it);
    return { base: "", braces, items, isEmpty, isList: true, skip: isIndex, ...shortOf(name, tag, kind) };
  }
  if ((name === null || value instanceof Map) && isReal(sizeOfMap, value)) {
    const size = sizeOfMap.call(value);
    const braces = bracesOf(name, tag, "Map", `(${size})`);
    const items = (it) => limitedItems(Map.prototype.entries.call(value), size, it, (pair) => pairText(pair, it));
    return { base: "", braces, items, isEmpty: size === 0, ...shortOf(name, tag, "Map") };
  }
  if ((name === null || value instanceof Set) && isReal(sizeOfSet, value)) {
    const size = sizeOfSet.call(value);
    const items = (it) => limitedItems(Set.prototype.values.call(value), size, it, (item) => format(item, it));
    const braces = bracesOf(name, tag, "Set", `(${size})`);
    return { base: "", braces, items, isEmpty: size === 0, ...shortOf(name, tag, "Set") };
  }
  if (value instanceof ArrayBuffer || (typeof SharedArrayBuffer === "function" && value instanceof SharedArrayBuffer)) {
    const kind = value instanceof ArrayBuffer ? "ArrayBuffer" : "SharedArrayBuffer";
    const items = (it) => bufferItems(value, it);
    return { base: "", braces: bracesOf(name, tag, kind), items, ...shortOf(name, tag, kind) };
  }
  const iterator = /^(?:Map|Set) Iterator$/.test(tag) ? native.iteratorRest(value) : undefined;
  if (iterator !== undefined) {
    const [kind, givesEntries, rest] = iterator;
    const braces = [`[${kind} ${givesEntries ? "Entries" : "Iterator"}] {`, "}"];
    const items = (it) => limitedItems(rest, rest.length, it, (item) => format(item, it));
    return { base: "", braces, items, ...shortOf(name, tag, `${kind} Iterator`) };
  }
  if (value instanceof Promise) {
    const items = (it) => promiseItems(value, it);
    return { base: "", braces: bracesOf(name, tag, "Promise"), items, ...shortOf(name, tag, "Promise") };
  }
  if (value instanceof WeakMap || value instanceof WeakSet) {
    const kind = value instanceof WeakMap ? "WeakMap" : "WeakSet";
    const items = (it) => [it.stylize("<items unknown>", "special")];
    return { base: "", braces: bracesOf(name, tag, kind), items, ...shortOf(name, tag, kind) };
  }
  return undefined;
}

/** Whether the getter accepts it, which has its internal slots; an object may merely inherit from the prototype. */
function isReal(getter, value) {
  try {
    getter.call(value);
    return true;
  } catch {
    return false;
  }
}

/** Errors, dates, regular expressions and wrappers of primitives: a text, and properties if it has any. */
function boxShape(value, name, tag, context) {
  if (value instanceof Error) {
    const base = errorText(value, name, tag);
    const keys = ownKeys(value, context, undefined).filter(
      (key) => context.showHidden || !["name", "message", "stack"].includes(key) || !base.includes(value[key]),
    );
    for (const key of ["cause", "errors"]) {
      const is = key === "cause" ? Object.hasOwn(value, key) : Array.isArray(value.errors);
      if (is && !keys.includes(key)) keys.push(key);
    }
    const text = context.indentation === 0 ? base : base.replaceAll("\n", `\n${" ".repeat(context.indentation)}`);
    return { base: text, alone: text, braces: ["{", "}"], keys, ...shortOf(name, tag, "Error") };
  }
  if (value instanceof RegExp && Object.prototype.toString.call(value) === "[object RegExp]") {
    const prefix = prefixOf(name, tag, "RegExp");
    return alone(`${prefix === "RegExp " ? "" : prefix}${RegExp.prototype.toString.call(value)}`, "regexp", context);
  }
  if (value instanceof Date && isReal(Date.prototype.getTime, value)) {
    const prefix = prefixOf(name, tag, "Date");
    const isValid = !Number.isNaN(Date.prototype.getTime.call(value));
    const text = isValid ? Date.prototype.toISOString.call(value) : "Invalid Date";
    const more = { short: undefined, ...shortOf(name, tag, "Date") };
    return alone(`${prefix === "Date " ? "" : prefix}${text}`, "date", context, more);
  }
  for (const Wrapper of [Number, String, Boolean, BigInt, Symbol]) {
    if (!(value instanceof Wrapper) || !isReal(Wrapper.prototype.valueOf, value)) continue;
    const kind = Wrapper.name;
    const of = kind === name ? "" : name === null ? " (null prototype)" : ` (${name})`;
    const inner = formatPrimitive(Wrapper.prototype.valueOf.call(value), { ...context, stylize: (text) => text });
    const base = `[${kind}${of}: ${inner}]${tag !== "" && tag !== name ? ` [${tag}]` : ""}`;
    return alone(base, kind.toLowerCase(), context, { skip: Wrapper === String ? isIndex : undefined });
  }
  return undefined;
}

function otherShape(value, name, tag) {
  if (typeof value[fieldsOf] === "function") {
    const source = value[fieldsOf]();
    const braces = [`${name} {`, "}"];
    if (!Array.isArray(source)) return { base: "", braces, source, keys: Reflect.ownKeys(source), name };
    const items = (it) => source.map((pair) => pairText(pair, it));
    return { base: "", braces, items, isEmpty: source.length === 0, keys: [], name };
  }
  const kind = Object.prototype.toString.call(value).slice(8, -1);
  // Only these have a tag that no property says.
  if (kind === "Arguments" && tag === "") return { base: "", braces: ["[Arguments] {", "}"], name: "Arguments" };
  if (kind === "Module" && name === null) {
    return { base: "", braces: ["[Module: null prototype] {", "}"], name: "Module" };
  }
  const prefix = name === "Object" && tag === "" ? "" : prefixOf(name, tag, "Object");
  return { base: "", braces: [`${prefix}{`, "}"], ...shortOf(name, tag, "Object") };
}

/** Symbol.toStringTag, unless it is a property that is shown anyway. */
function tagOf(value, context) {
  const tag = value[Symbol.toStringTag];
  if (typeof tag !== "string" || tag === "") return "";
  const descriptor = Object.getOwnPropertyDescriptor(value, Symbol.toStringTag);
  return descriptor !== undefined && (context.showHidden || descriptor.enumerable) ? "" : tag;
}

function functionText(value, name, tag) {
  const source = Function.prototype.toString.call(value);
  const of = tag !== "" && name !== tag ? ` [${tag}]` : "";
  if (/^class\b/.test(source) && source.endsWith("}")) {
    const own = Object.hasOwn(value, "name") && value.name ? value.name : "(anonymous)";
    const kind = name === "Function" || name === null ? "" : ` [${name}]`;
    const parent = name === null ? "[null prototype]" : Object.getPrototypeOf(value).name;
    return `[class ${own}${kind}${of}${parent ? ` extends ${parent}` : ""}]`;
  }
  // The tag of the prototype, which is all that tells them apart.
  const type = { AsyncFunction: 1, GeneratorFunction: 1, AsyncGeneratorFunction: 1 }[tag] ? tag : "Function";
  const inherited = name === null ? " (null prototype)" : "";
  const title = value.name === "" || value.name === undefined ? " (anonymous)" : `: ${value.name}`;
  return `[${type}${inherited}${title}]${name !== type && name !== null ? ` ${name}` : ""}${of}`;
}

function isIndex(key) {
  return typeof key === "string" && /^(?:0|[1-9]\d*)$/.test(key);
}

function ownKeys(value, context, skip) {
  if (!context.showHidden) {
    // Most objects have neither symbols nor anything to skip, and Object.keys makes no descriptor of each property.
    const keys = skip === undefined ? Object.keys(value) : Object.keys(value).filter((key) => !skip(key));
    const symbols = Object.getOwnPropertySymbols(value);
    if (symbols.length === 0) return keys;
    return [...keys, ...symbols.filter((key) => Object.prototype.propertyIsEnumerable.call(value, key))];
  }
  return Reflect.ownKeys(value).filter((key) => !skip?.(key));
}

/** Formats what is two columns further in. */
function indented(context, columns, run) {
  context.indentation += columns;
  const result = run();
  context.indentation -= columns;
  return result;
}

const formatField = (key, value, context) => `${key}: ${indented(context, 2, () => format(value, context))}`;

function getterText(descriptor, context, receiver) {
  const label = descriptor.set === undefined ? "Getter" : "Getter/Setter";
  const { getters, stylize } = context;
  const asked = getters === true || (getters === "get" && !descriptor.set) || (getters === "set" && descriptor.set);
  if (!asked) return stylize(`[${label}]`, "special");
  const opening = stylize(`[${label}:`, "special");
  const closing = stylize("]", "special");
  let got;
  try {
    got = descriptor.get.call(receiver);
  } catch (error) {
    return `${opening} <Inspection threw (${error?.message})>${closing}`;
  }
  return indented(context, 2, () =>
    typeof got === "object" && got !== null
      ? `${stylize(`[${label}]`, "special")} ${format(got, context)}`
      : `${opening} ${typeof got === "function" ? format(got, context) : formatPrimitive(got, context)}${closing}`,
  );
}

/** The value of a property, two columns further in than its object, or what stands for it. */
function valueText(descriptor, context, receiver) {
  if (descriptor.get) return getterText(descriptor, context, receiver);
  if (descriptor.set) return context.stylize("[Setter]", "special");
  const columns = context.compact === true ? 3 : 2;
  context.indentation += columns;
  const text = format(descriptor.value, context);
  context.indentation -= columns;
  return text;
}

function formatProperty(source, key, context, receiver) {
  const descriptor = Object.getOwnPropertyDescriptor(source, key) ?? { value: source[key], enumerable: true };
  const text = valueText(descriptor, context, receiver);
  const isLong = context.compact === true && context.breakLength < text.length;
  const gap = isLong ? `\n${" ".repeat(context.indentation + 3)}` : " ";
  if (typeof key === "symbol") return `[${context.stylize(escape(String(key), ""), "symbol")}]:${gap}${text}`;
  if (key === "__proto__") return `['__proto__']:${gap}${text}`;
  if (!descriptor.enumerable) return `[${escape(key, "'")}]:${gap}${text}`;
  return `${isIdentifier(key) ? key : context.stylize(quote(key), "string")}:${gap}${text}`;
}

/** Whether a key needs no quotes. Most are short and in small letters, and need no regular expression. */
function isIdentifier(key) {
  const { length } = key;
  if (length === 0 || length > 16) return IDENTIFIER.test(key);
  for (let at = 0; at < length; at++) if (key[at] < "a" || key[at] > "z") return IDENTIFIER.test(key);
  return true;
}

function arrayItems(array, context) {
  const texts = [];
  let at = 0;
  for (; at < array.length && texts.length < context.maxArrayLength; at++) {
    const descriptor = Object.getOwnPropertyDescriptor(array, at);
    if (descriptor !== undefined) {
      texts.push(valueText(descriptor, context, array));
      continue;
    }
    let end = at + 1;
    while (end < array.length && !Object.hasOwn(array, end)) end++;
    texts.push(context.stylize(`<${end - at} empty item${plural(end - at)}>`, "undefined"));
    at = end - 1;
  }
  return limited(texts, texts.length + array.length - at);
}

function typedItems(array, context) {
  const texts = [];
  const count = Math.min(array.length, Math.max(0, context.maxArrayLength));
  for (let at = 0; at < count; at++) texts.push(formatPrimitive(array[at], context));
  limited(texts, array.length);
  if (context.showHidden) {
    for (const key of ["BYTES_PER_ELEMENT", "length", "byteLength", "byteOffset", "buffer"]) {
      texts.push(`[${key}]: ${indented(context, 2, () => format(array[key], context))}`);
    }
  }
  return texts;
}

function bufferItems(buffer, context) {
  if (buffer.detached) return [context.stylize("(detached)", "special"), formatField("byteLength", 0, context)];
  const count = Math.min(buffer.byteLength, Math.max(0, context.maxArrayLength));
  const hex = [...new Uint8Array(buffer, 0, count)].map((byte) => (byte + 0x100).toString(16).slice(1)).join(" ");
  const left = buffer.byteLength - count;
  const more = left > 0 ? ` ... ${left} more byte${plural(left)}` : "";
  const title = context.stylize("[Uint8Contents]", "special");
  return [`${title}: <${hex}${more}>`, formatField("byteLength", buffer.byteLength, context)];
}

const pairText = ([key, item], context) => `${format(key, context)} => ${format(item, context)}`;

function promiseItems(promise, context) {
  const [state, result] = native.promiseState(promise);
  if (state === "pending") return [context.stylize("<pending>", "special")];
  const text = indented(context, 2, () => format(result, context));
  return [state === "rejected" ? `${context.stylize("<rejected>", "special")} ${text}` : text];
}

function limitedItems(iterator, size, context, toText) {
  const texts = [];
  indented(context, 2, () => {
    for (const item of iterator) {
      if (texts.length >= context.maxArrayLength) break;
      texts.push(toText(item));
    }
  });
  return limited(texts, size);
}

function limited(texts, total) {
  const more = total - texts.length;
  if (more > 0) texts.push(`... ${more} more item${plural(more)}`);
  return texts;
}
