// A component with service workers, and its turns as the engine runs them.
import { newWorld, settle } from "./world.mjs";

/** The time before the first turn: each begins a second after the one before. */
export const NOW = 1_700_000_000_000;

/**
 * A component that exports what `define` gives, which gets `worker`, `workers` and the world: its fake host, and `run`,
 * which runs turns as the engine does.
 */
export async function component(define) {
  const native = await newWorld();
  const { worker, workers } = await import(`../src/capabilities/workers.js${native.world}`);
  const { decode, encode } = await import(`../src/messaging/clone-encoding.js${native.world}`);
  native.now = () => native.turn[1];
  native.timers = 0;
  const { world } = native;
  const classes = native.worker.find(await define({ worker, workers, world }));
  let id = 0;
  /** Runs a turn of the worker `a`; gives its result with decoded values. */
  async function run(kind, more = {}) {
    id += 1;
    native.input = JSON.stringify({ kind, class: "Cart", name: "a", id: `${id}`, now: NOW + 1_000 * id, ...more });
    const promise = native.worker.begin();
    let state = promise === undefined ? "done" : "waiting";
    let thrown;
    promise?.then(() => (state = "done"), (error) => ((state = "failed"), (thrown = error)));
    await settle();
    if (state === "failed") throw thrown;
    const json = native.worker.finish(state === "done", native.timers, '{"set":[],"cleared":[]}');
    if (json === undefined) throw new Error("never-settles");
    const result = { ...quiet, ...JSON.parse(json) };
    if (result.answer !== null && kind !== "export") result.answer = decode(result.answer);
    for (const message of [...result.sends, ...result.emitted]) message.value = decode(message.value);
    return result;
  }
  const call = (method, ...args) => run("call", { method, args: encode(args) });
  return { native, worker, workers, classes, run, call, encode };
}

/** The effects of a turn that has none. */
export const quiet = { sends: [], timers: { set: [], cleared: [], alarm: [] }, emitted: [], sockets: [] };
