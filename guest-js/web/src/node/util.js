// node:util. https://nodejs.org/api/util.html
import native from "elias:native";
import { formatMessage } from "../console/format.js";
import {
  colors as inspectColors,
  defaultOptions,
  inspect as show,
  styles as inspectStyles,
} from "../console/inspect.js";
import { isDeepEqual } from "./internal/deep-equal.js";
import { checkFunction, checkObject, checkString, invalidArgument, nodeError } from "./internal/errors.js";
import { MIMEParams, MIMEType } from "./util/mime.js";
import { parseArgs } from "./util/parse-args.js";
import { getSystemErrorMap, getSystemErrorName } from "./util/system-errors.js";
import types from "./util/types.js";

const customPromisify = Symbol.for("nodejs.util.promisify.custom");
const customInspect = Symbol.for("nodejs.util.inspect.custom");

/** A function that gives a promise in place of calling its last argument back. */
export function promisify(original) {
  checkFunction(original, "original");
  const custom = original[customPromisify];
  if (custom !== undefined) {
    checkFunction(custom, "util.promisify.custom");
    return Object.defineProperty(custom, customPromisify, { value: custom, configurable: true });
  }
  function promisified(...args) {
    return new Promise((resolve, reject) => {
      Reflect.apply(original, this, [...args, (error, ...values) => (error ? reject(error) : resolve(values[0]))]);
    });
  }
  Object.setPrototypeOf(promisified, Object.getPrototypeOf(original));
  Object.defineProperty(promisified, customPromisify, { value: promisified, configurable: true });
  return Object.defineProperties(promisified, Object.getOwnPropertyDescriptors(original));
}
promisify.custom = customPromisify;

/** The other way around. */
export function callbackify(original) {
  checkFunction(original, "original");
  return function callbackified(...args) {
    const callback = args.pop();
    checkFunction(callback, "last argument");
    Reflect.apply(original, this, args).then(
      (value) => queueMicrotask(() => callback(null, value)),
      (reason) => {
        const error = reason || nodeError(Error, "ERR_FALSY_VALUE_REJECTION", "Promise was rejected with falsy value");
        queueMicrotask(() => callback(error));
      },
    );
  };
}

export function inherits(constructor, parent) {
  checkFunction(constructor, "ctor");
  checkFunction(parent, "superCtor");
  Object.defineProperty(constructor, "super_", { value: parent, writable: true, configurable: true });
  Object.setPrototypeOf(constructor.prototype, parent.prototype);
}

const warned = new Set();

export function deprecate(original, message, code = undefined) {
  let told = false;
  function deprecated(...args) {
    if (!told && !(code !== undefined && warned.has(code))) {
      warned.add(code);
      globalThis.console?.warn(`${code === undefined ? "" : `[${code}] `}DeprecationWarning: ${message}`);
    }
    told = true;
    return new.target ? Reflect.construct(original, args, new.target) : Reflect.apply(original, this, args);
  }
  Object.setPrototypeOf(deprecated, original);
  if (original.prototype) deprecated.prototype = original.prototype;
  return deprecated;
}

/** As in older versions of Node, the third argument may be the depth, and the second whether to show what is hidden. */
export function inspect(value, options = undefined, depth = undefined, colors = undefined) {
  if (typeof options === "object" && options !== null) return show(value, { inspect, ...options });
  const given = { inspect };
  if (typeof options === "boolean") given.showHidden = options;
  if (depth !== undefined) given.depth = depth;
  if (colors !== undefined) given.colors = colors;
  return show(value, given);
}
inspect.custom = customInspect;
Object.defineProperty(inspect, "defaultOptions", {
  get() {
    // Whoever has the object can change it, and the natives of the console know the defaults alone.
    native.logScripted();
    return defaultOptions;
  },
  set(options) {
    checkObject(options, "options");
    native.logScripted();
    Object.assign(defaultOptions, options);
  },
});
inspect.colors = inspectColors;
inspect.styles = inspectStyles;

export const format = (...args) => formatMessage(args);
export function formatWithOptions(options, ...args) {
  checkObject(options, "inspectOptions");
  return formatMessage(args, options);
}

export function debuglog() {
  // Which sections are shown is said in NODE_DEBUG, which components do not have.
  return Object.assign(() => {}, { enabled: false });
}
export const debug = debuglog;

export const isDeepStrictEqual = (a, b) => isDeepEqual(a, b, true);
export const toUSVString = (text) => `${text}`.toWellFormed();

// The control sequences of ECMA-48: CSI, OSC and the short ones.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL =
  /[\u001b\u009b](?:\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[[\]()#;?]*(?:\d{1,4}(?:;\d{0,4})*)?[\dA-PR-TZcf-nq-uy=><~])/g;

export function stripVTControlCharacters(text) {
  if (typeof text !== "string") throw invalidArgument("str", "of type string", text);
  return text.replace(CONTROL, "");
}

const STYLES = {
  __proto__: null,
  reset: [0, 0],
  bold: [1, 22],
  dim: [2, 22],
  italic: [3, 23],
  underline: [4, 24],
  inverse: [7, 27],
  hidden: [8, 28],
  strikethrough: [9, 29],
  black: [30, 39],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  magenta: [35, 39],
  cyan: [36, 39],
  white: [37, 39],
  gray: [90, 39],
  grey: [90, 39],
  bgBlack: [40, 49],
  bgRed: [41, 49],
  bgGreen: [42, 49],
  bgYellow: [43, 49],
  bgBlue: [44, 49],
  bgMagenta: [45, 49],
  bgCyan: [46, 49],
  bgWhite: [47, 49],
};
for (const name of Object.keys(STYLES)) inspect.colors[name] = STYLES[name];

export function styleText(style, text) {
  checkString(text, "text");
  return [style].flat().reduceRight((inner, name) => {
    const codes = STYLES[name];
    if (codes === undefined)
      throw nodeError(TypeError, "ERR_INVALID_ARG_VALUE", `The argument 'format' is not a style: ${name}`);
    return `\u001b[${codes[0]}m${inner}\u001b[${codes[1]}m`;
  }, text);
}

/** Settles when the signal aborts. */
export async function aborted(signal) {
  if (typeof signal?.addEventListener !== "function")
    throw invalidArgument("signal", "an instance of AbortSignal", signal);
  return signal.aborted
    ? Promise.resolve()
    : new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

export { getSystemErrorMap, getSystemErrorName, MIMEParams, MIMEType, parseArgs };

export function _extend(target, source) {
  return source === null || typeof source !== "object" ? target : Object.assign(target, source);
}

// The tests that util had before JavaScript had its own.
export const { isArray } = Array;
export const isBoolean = (value) => typeof value === "boolean";
export const isBuffer = (value) => value instanceof Uint8Array && value._isBuffer === true;
export const isDate = types.isDate;
export const isError = types.isNativeError;
export const isFunction = (value) => typeof value === "function";
export const isNull = (value) => value === null;
export const isNullOrUndefined = (value) => value === null || value === undefined;
export const isNumber = (value) => typeof value === "number";
export const isObject = (value) => typeof value === "object" && value !== null;
export const isPrimitive = (value) => !isObject(value) && !isFunction(value);
export const isRegExp = types.isRegExp;
export const isString = (value) => typeof value === "string";
export const isSymbol = (value) => typeof value === "symbol";
export const isUndefined = (value) => value === undefined;

export const { TextEncoder, TextDecoder } = globalThis;
export { types };
export default {
  promisify,
  callbackify,
  inherits,
  deprecate,
  inspect,
  format,
  formatWithOptions,
  debuglog,
  debug,
  isDeepStrictEqual,
  toUSVString,
  stripVTControlCharacters,
  styleText,
  aborted,
  getSystemErrorMap,
  getSystemErrorName,
  MIMEParams,
  MIMEType,
  parseArgs,
  _extend,
  isArray,
  isBoolean,
  isBuffer,
  isDate,
  isError,
  isFunction,
  isNull,
  isNullOrUndefined,
  isNumber,
  isObject,
  isPrimitive,
  isRegExp,
  isString,
  isSymbol,
  isUndefined,
  TextEncoder,
  TextDecoder,
  types,
};
