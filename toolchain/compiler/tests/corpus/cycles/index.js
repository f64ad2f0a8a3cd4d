import { log } from "./log.js";
import a from "./a.cjs";
import b from "./b.cjs";
import { e1 } from "./e1.js";
import { late } from "./late.js";
import tree from "./tree.cjs";
import "./z.js";
export default {
  order: () => log,
  cjs: () => [a.seen, b.seen, a.b(), b.a()],
  esm: () => e1(3),
  late: () => late(),
  tree: () => new tree.Leaf() instanceof tree.Node,
};
