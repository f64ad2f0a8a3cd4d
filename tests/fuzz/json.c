// Compares the engine's JSON with QuickJS's own, in one context.
#include "quickjs.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void elias_install_json(JSContext *ctx);

// `check` is called with a text and with numbers; it throws where the two differ.
static const char SOURCE[] =
    "(own) => {\n"
    "  const keysOf = Reflect.ownKeys, protoOf = Object.getPrototypeOf, describe = Object.getOwnPropertyDescriptor;\n"
    "  const attempt = (f) => { try { return [f(), undefined]; } catch (error) { return [undefined, String(error)]; } };\n"
    "  const same = (a, b) => {\n"
    "    if (typeof a !== 'object' || a === null || typeof b !== 'object' || b === null) return Object.is(a, b);\n"
    "    if (protoOf(a) !== protoOf(b) || Array.isArray(a) !== Array.isArray(b)) return false;\n"
    "    const left = keysOf(a), right = keysOf(b);\n"
    "    return left.length === right.length && left.every((key, at) => {\n"
    "      if (key !== right[at]) return false;\n"
    "      const x = describe(a, key), y = describe(b, key);\n"
    "      return x.enumerable === y.enumerable && x.writable === y.writable && x.configurable === y.configurable &&\n"
    "        same(x.value, y.value);\n"
    "    });\n"
    "  };\n"
    "  const differ = (what, a, b) => { throw new Error(what + ': ' + show(a) + ' and not ' + show(b)); };\n"
    "  const show = ([value, error]) => error ?? (typeof value === 'string' ? own.stringify(value) : own.stringify(value) ?? String(value));\n"
    "  const parse = (text) => {\n"
    "    const ours = attempt(() => JSON.parse(text)), its = attempt(() => own.parse(text));\n"
    "    if (ours[1] !== its[1] || !same(ours[0], its[0])) differ('parse ' + own.stringify(text), ours, its);\n"
    "    return its;\n"
    "  };\n"
    "  const stringify = (value) => {\n"
    "    const ours = attempt(() => JSON.stringify(value)), its = attempt(() => own.stringify(value));\n"
    "    if (ours[0] !== its[0] || ours[1] !== its[1]) differ('stringify', ours, its);\n"
    "    if (typeof its[0] === 'string') parse(its[0]);\n"
    "  };\n"
    "  const KEYS = ['a', 'b', 'toJSON', '__proto__', '0', '7', '', 'a long key with \"quotes\"', '\\u2028', '\\ud800', 'length', 'é', '猫'];\n"
    "  const build = (bytes) => {\n"
    "    let at = 0;\n"
    "    const next = () => bytes[at++] ?? 0;\n"
    "    const made = [];\n"
    "    const text = () => { let s = ''; for (let n = next() % 24; n > 0; n--) s += String.fromCharCode(next() | (next() % 4 === 0 ? next() << 8 : 0)); return s; };\n"
    "    const value = (depth) => {\n"
    "      const kind = depth > 6 ? next() % 12 : next() % 32;\n"
    "      switch (kind) {\n"
    "        case 0: return null; case 1: return true; case 2: return next() | 0; case 3: return -next();\n"
    "        case 4: return next() / (next() + 0.5); case 5: return next() * 10 ** (next() - 128); case 6: return NaN; case 7: return undefined;\n"
    "        case 8: return -0; case 9: return text(); case 10: return text() + text(); case 11: return Symbol.iterator;\n"
    "        case 12: return () => 1; case 13: return new Date(next() * 1e9); case 14: return new Number(next()); case 15: return new String(text());\n"
    "        case 16: return new Map([[1, 2]]); case 17: return new Uint8Array([next()]); case 18: return /x/; case 19: return Object.create({ inherited: 1 });\n"
    "        case 20: return made[next() % (made.length + 1)]; case 21: return new Proxy({ a: next() }, {}); case 22: return BigInt(next());\n"
    "        case 23: return Object.freeze({ a: value(depth + 1) }); case 24: { const a = []; a[next() % 8] = 1; return a; }\n"
    "        case 25: case 26: case 27: { const a = []; made.push(a); for (let n = next() % 8; n > 0; n--) a.push(value(depth + 1)); if (next() % 16 === 0) a.extra = 1; return a; }\n"
    "        default: {\n"
    "          const o = next() % 16 === 0 ? Object.create(null) : {};\n"
    "          made.push(o);\n"
    "          for (let n = next() % 8; n > 0; n--) {\n"
    "            const key = next() % 4 === 0 ? text() : KEYS[next() % KEYS.length];\n"
    "            if (next() % 24 === 0) Object.defineProperty(o, key, { get: () => next.length, enumerable: true, configurable: true });\n"
    "            else if (next() % 24 === 0) Object.defineProperty(o, key, { value: 1, enumerable: false, configurable: true });\n"
    "            else if (next() % 24 === 0) delete o[KEYS[0]];\n"
    "            else Object.defineProperty(o, key, { value: value(depth + 1), enumerable: true, writable: true, configurable: true });\n"
    "          }\n"
    "          return o;\n"
    "        }\n"
    "      }\n"
    "    };\n"
    "    return value(0);\n"
    "  };\n"
    "  return (text, buffer) => {\n"
    "    const [value, error] = parse(text);\n"
    "    if (error === undefined) stringify(value);\n"
    "    stringify(text);\n"
    "    stringify(build(new Uint8Array(buffer)));\n"
    "  };\n"
    "}";

static void fail(JSContext *ctx, const char *what) {
  JSValue error = JS_GetException(ctx);
  const char *text = JS_ToCString(ctx, error);
  fprintf(stderr, "%s: %s\n", what, text == NULL ? "?" : text);
  abort();
}

static JSRuntime *runtime;
static JSContext *context;
static JSValue check;

static void start(void) {
  runtime = JS_NewRuntime();
  JS_SetMaxStackSize(runtime, 256 * 1024);
  context = JS_NewContext(runtime);
  // QuickJS's own two, before ours take their place.
  static const char keep[] = "({ parse: JSON.parse, stringify: JSON.stringify })";
  JSValue own = JS_Eval(context, keep, strlen(keep), "own", JS_EVAL_TYPE_GLOBAL);
  elias_install_json(context);
  JSValue make = JS_Eval(context, SOURCE, strlen(SOURCE), "check", JS_EVAL_TYPE_GLOBAL);
  if (JS_IsException(own) || JS_IsException(make)) fail(context, "the check's own source");
  check = JS_Call(context, make, JS_UNDEFINED, 1, &own);
  if (JS_IsException(check)) fail(context, "the check's own source");
  JS_FreeValue(context, make);
  JS_FreeValue(context, own);
}

// Aborts where the two differ for this input. A context serves many inputs: what one leaves, another may find.
void elias_compare_json(const uint8_t *bytes, size_t length) {
  static unsigned count;
  if (context == NULL) start();
  JSValue arguments[2] = {
    JS_NewStringLen(context, (const char *)bytes, length),
    JS_NewArrayBufferCopy(context, bytes, length),
  };
  JSValue result = JS_Call(context, check, JS_UNDEFINED, 2, arguments);
  if (JS_IsException(result)) fail(context, "JSON differs");
  JS_FreeValue(context, result);
  JS_FreeValue(context, arguments[0]);
  JS_FreeValue(context, arguments[1]);
  if (++count % 5000 == 0) {
    // Whatever leaks or is freed twice shows here.
    JS_FreeValue(context, check);
    JS_FreeContext(context);
    JS_FreeRuntime(runtime);
    context = NULL;
  }
}
