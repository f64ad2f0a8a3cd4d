// Hot swap: the code of another version of the component is put under the objects of this worker.
import native from "elias:native";
import { exchangeClasses } from "./classes.js";
import { instance } from "./turn.js";

/** The text of a worker's `onUpgrade`, if it has one. */
const upgradeOf = ({ object }) => `${object.onUpgrade}`;

/**
 * Has the worker go on in the code with this name, whose `source` is the bundle of another version. It throws what does
 * not fit, and the host undoes the turn then.
 */
export function swap({ code, source }) {
  const { worker } = instance;
  if (worker.code === code) return;
  const before = upgradeOf(worker);
  exchangeClasses(native.swapCode(code, source));
  // Whoever writes one means to convert what the worker has, which a swap would pass over.
  if (upgradeOf(worker) !== before) {
    throw new Error(`the class ${worker.className} has another onUpgrade than in the running version, which is to run`);
  }
  worker.code = code;
}
