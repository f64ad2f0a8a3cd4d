// node:util/types: what a value is by its internal slots. https://nodejs.org/api/util.html#utiltypes
import native from "elias:native";

const tagOf = (value) => Object.prototype.toString.call(value).slice(8, -1);
const isObject = (value) => (typeof value === "object" && value !== null) || typeof value === "function";

/** Whether `probe`, which throws for any other receiver, accepts the value. */
const accepts = (probe) => (value) => {
  if (!isObject(value)) return false;
  try {
    probe(value);
    return true;
  } catch {
    return false;
  }
};
const getter = (prototype, name) => {
  const { get } = Object.getOwnPropertyDescriptor(prototype, name);
  return (value) => get.call(value);
};

export const isDate = accepts((value) => Date.prototype.getTime.call(value));
export const isMap = accepts(getter(Map.prototype, "size"));
export const isSet = accepts(getter(Set.prototype, "size"));
export const isWeakMap = accepts((value) => WeakMap.prototype.has.call(value, {}));
export const isWeakSet = accepts((value) => WeakSet.prototype.has.call(value, {}));
export const isArrayBuffer = accepts(getter(ArrayBuffer.prototype, "byteLength"));
export const isSharedArrayBuffer =
  typeof SharedArrayBuffer === "undefined" ? () => false : accepts(getter(SharedArrayBuffer.prototype, "byteLength"));
export const isAnyArrayBuffer = (value) => isArrayBuffer(value) || isSharedArrayBuffer(value);
export const isArrayBufferView = ArrayBuffer.isView;
export const isDataView = (value) => ArrayBuffer.isView(value) && !isTypedArray(value);
export const isNumberObject = accepts((value) => Number.prototype.valueOf.call(value));
export const isStringObject = accepts((value) => String.prototype.valueOf.call(value));
export const isBooleanObject = accepts((value) => Boolean.prototype.valueOf.call(value));
export const isBigIntObject = accepts((value) => BigInt.prototype.valueOf.call(value));
export const isSymbolObject = accepts((value) => Symbol.prototype.valueOf.call(value));
export const isBoxedPrimitive = (value) =>
  isNumberObject(value) || isStringObject(value) || isBooleanObject(value) || isBigIntObject(value) || isSymbolObject(value);

const typedArrayName = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag).get;
const isTyped = (name) => (value) => typedArrayName.call(value) === name;

export const isTypedArray = (value) => typedArrayName.call(value) !== undefined;
export const isUint8Array = isTyped("Uint8Array");
export const isUint8ClampedArray = isTyped("Uint8ClampedArray");
export const isUint16Array = isTyped("Uint16Array");
export const isUint32Array = isTyped("Uint32Array");
export const isInt8Array = isTyped("Int8Array");
export const isInt16Array = isTyped("Int16Array");
export const isInt32Array = isTyped("Int32Array");
export const isFloat32Array = isTyped("Float32Array");
export const isFloat64Array = isTyped("Float64Array");
export const isBigInt64Array = isTyped("BigInt64Array");
export const isBigUint64Array = isTyped("BigUint64Array");

// These have no probe without side effects: the tag, which a script can change, has to do.
export const isRegExp = (value) => isObject(value) && value instanceof RegExp;
export const isNativeError = Error.isError ?? ((value) => isObject(value) && tagOf(value) === "Error");
export const isPromise = (value) => value instanceof Promise;
export const isMapIterator = (value) => isObject(value) && tagOf(value) === "Map Iterator";
export const isSetIterator = (value) => isObject(value) && tagOf(value) === "Set Iterator";
export const isGeneratorObject = (value) => isObject(value) && tagOf(value) === "Generator";
export const isArgumentsObject = (value) => isObject(value) && tagOf(value) === "Arguments";
export const isModuleNamespaceObject = (value) => isObject(value) && tagOf(value) === "Module";
export const isAsyncFunction = (value) => typeof value === "function" && /^Async/.test(tagOf(value));
export const isGeneratorFunction = (value) => typeof value === "function" && /GeneratorFunction$/.test(tagOf(value));
export const isProxy = (value) => native.proxyTarget(value) !== undefined;
export const isExternal = () => false;
export const isKeyObject = (value) => isObject(value) && tagOf(value) === "KeyObject";
export const isCryptoKey = (value) => isObject(value) && tagOf(value) === "CryptoKey";

export default {
  isDate, isMap, isSet, isWeakMap, isWeakSet, isArrayBuffer, isSharedArrayBuffer, isAnyArrayBuffer, isArrayBufferView, isDataView,
  isNumberObject, isStringObject, isBooleanObject, isBigIntObject, isSymbolObject, isBoxedPrimitive, isTypedArray, isUint8Array,
  isUint8ClampedArray, isUint16Array, isUint32Array, isInt8Array, isInt16Array, isInt32Array, isFloat32Array, isFloat64Array,
  isBigInt64Array, isBigUint64Array, isRegExp, isNativeError, isPromise, isMapIterator, isSetIterator, isGeneratorObject,
  isArgumentsObject, isModuleNamespaceObject, isAsyncFunction, isGeneratorFunction, isProxy, isExternal, isKeyObject, isCryptoKey,
};
