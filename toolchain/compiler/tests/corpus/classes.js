// Definitions of classes and objects that throw, run code, or have names.
import { thrown } from "./thrown.js";
const key = (error) => ({ toString() { throw new error(); } });
const steps = [];
const step = (name) => { steps.push(name); return name; };
export default {
  staticPrototype: () => thrown(() => { class C { static get ["prototype"]() { return 1; } } }),
  staticPrototypeMethod: () => thrown(() => { class D { static ["proto" + "type"]() {} } }),
  extendsNumber: () => thrown(() => { class E extends 5 {} }),
  extendsArrow: () => thrown(() => { class E extends (() => {}) {} }),
  extendsVariable: (Base = undefined) => thrown(() => { class E extends Base {} }),
  extendsGenerator: () => thrown(() => { class E extends function* () {} {} }),
  extendsObject: (Base = {}) => thrown(() => { class E extends Base {} }),
  extendsNull: () => thrown(() => { class E extends null {} }),
  badPrototype: () => thrown(() => { function F() {} F.prototype = 3; class E extends F {} }),
  staticField: () => thrown(() => { class F { static x = null.y; } }),
  staticFieldCall: () => thrown(() => { class F { static x = decodeURI("%"); } }),
  computedKey: () => thrown(() => { class G { [null.z]() {} } }),
  computedKeyText: () => thrown(() => { class G { [key(RangeError)]() {} } }),
  computedField: () => thrown(() => { class G { [key(EvalError)] = 1; } }),
  objectKey: () => thrown(() => { ({ [key(RangeError)]: 1 }); }),
  objectMethodKey: () => thrown(() => { ({ [key(EvalError)]() {} }); }),
  objectGetterKey: () => thrown(() => { ({ get [key(TypeError)]() { return 1; } }); }),
  staticBlock: () => thrown(() => { class H { static { throw new SyntaxError(); } } }),
  staticBlockOrder: () => {
    class A { static a = step("a"); static { step("block"); } [step("key")] = 1; static b = step("b"); }
    return [steps.splice(0), typeof A];
  },
  early: () => thrown(() => { class A { static x = new B(); } class B {} }),
  innerName: () => { class A { static self = A; } const B = A; return B.self === A; },
  privateIn: () => { class A { #x = 1; static has(o) { return #x in o; } } return [A.has(new A()), thrown(() => A.has(1))]; },
  privateInUnused: () => thrown(() => { class A { #x; static m(o) { #x in o; } } A.m(1); }),
  accessors: () => { let n = 0; class A { get x() { n++; return 1; } } new A().x; return n; },
  fieldsAtConstruction: () => { const log = []; class A { a = log.push("a"); constructor() { log.push("c"); } } new A(); return log; },
  superTdz: () => thrown(() => { class B {} class A extends B { constructor() { this; super(); } } new A(); }),
  newTarget: () => { function F() { return new.target === F; } return new F() instanceof F; },
  expression: () => { const log = []; (class { static x = log.push(1); }); return log; },
  newOfMember: () => { class K { x = 1; } class C { B = K; } return new (new C().B)().x; },
  newOfNew: () => { const K = class { constructor() { return function () { this.y = 2; }; } }; return new (new K())().y; },
  newOfDeepMember: () => { class K { x = 3; } class C { a = { b: [K] }; } return new (new C().a.b[0])().x; },
  newOfCall: () => { class K { x = 4; } class C { get() { return K; } } return new (new C().get())().x; },
  newWithArguments: () => { class K { constructor(x) { this.x = x; } } class C { constructor(k) { this.B = k; } } return new (new C(K).B)(5).x; },
  newOfImportLike: () => { const ns = { a: { K: class { z = 6; } } }; return new ns.a.K().z; },
};
