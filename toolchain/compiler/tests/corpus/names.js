// Names of functions and classes, and their absence.
let f, g, h, a, b, c, d;
f = (0, function () {});
(g) = function () {};
h = (function () {});
a = (0, class {});
(b) = class {};
c = () => {};
(d) = () => {};
const anonymous = [function () {}, () => {}, class {}].map((x) => x.name);
const conditional = true ? function () {} : 0;
const logical = null || (() => {});
const coalesced = undefined ?? class {};
let assigned;
assigned ||= function () {};
let assigned2;
(assigned2) ??= () => {};
const { withDefault = () => {} } = {};
const [first = function () {}] = [];
function parameter(callback = () => {}) { return callback.name; }
const object = { method() {}, arrow: () => {}, fn: function () {}, cls: class {}, ["com" + "puted"]: () => {}, get accessor() { return 1; }, async asyncMethod() {}, *generator() {}, [Symbol("desc")]: () => {}, [Symbol.iterator]() {} };
class Response {}
function URL() {}
class Error$1 extends Error {}
const Headers = class {};
const Request = class Inner {};
class Shadow { static name = "mine"; }
class Method { static name() { return 1; } }
class Plain { static other = 1; }
const sequence = (1, function inner() {});
export default {
  sequence: () => [f.name, a.name],
  parenthesised: () => [g.name, b.name, d.name, assigned2.name],
  plain: () => [h.name, c.name, assigned.name],
  anonymous: () => anonymous,
  branches: () => [conditional.name, logical.name, coalesced.name],
  defaults: () => [withDefault.name, first.name, parameter()],
  members: () => [...Object.keys(object), ...Object.getOwnPropertySymbols(object)].map((key) => { const found = Object.getOwnPropertyDescriptor(object, key); return (found.value ?? found.get).name; }),
  globals: () => [Response.name, URL.name, Error$1.name, Headers.name, Request.name, new Error$1().constructor.name],
  statics: () => [Shadow.name, typeof Method.name, Plain.name],
  inner: () => sequence.name,
  keys: () => Object.getOwnPropertyNames(Plain).sort(),
  order: () => Reflect.ownKeys(class { static b = 1; static a = 2; }),
  lengths: () => [parameter.length, ((x, y = 1, z) => {}).length, ((...rest) => {}).length],
  bound: () => URL.bind(null).name,
  instance: () => Object.prototype.toString.call(new Response()),
  recursive: () => { const outer = function again(n) { return n ? again(n - 1) : again.name; }; return outer(2); },
  own: () => [Object.hasOwn(function () {}, "name"), Object.hasOwn(class {}, "name"), Object.hasOwn(Plain, "name")],
};
