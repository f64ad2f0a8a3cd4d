// The same names in several modules.
import { NotFound as A, handler as h1, Model as M1, Response as R1 } from "./one.js";
import { NotFound as B, handler as h2, Model as M2, make, Response as R2 } from "./two.js";
import anonymous from "./anonymous.js";
import anonymousClass from "./anonymous-class.js";
import arrow from "./arrow.js";
import named from "./named.js";
import cjs from "./cjs.cjs";
class NotFound extends Error {}
function handler() {}
export default {
  classes: () => [A.name, B.name, NotFound.name, new A().constructor.name, String(new B("x"))],
  functions: () => [h1.name, h2.name, handler.name],
  models: () => [M1.name, M2.name, new M2().type, make().constructor.name],
  globals: () => [R1.name, R2.name, typeof Response],
  defaults: () => [anonymous.name, anonymousClass.name, arrow.name, named.name],
  cjs: () => [cjs.name, new cjs().kind],
};
