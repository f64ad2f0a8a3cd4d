// Writes target/engine/base.wasm: the engine's memory once it has started and evaluated the web modules that every
// component has. All images begin with it; see wit/src/base.rs. Nothing of the outside gets into it, so every machine
// makes the same bytes.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";

const root = new URL("../../", import.meta.url);
const read = (path) => readFileSync(new URL(path, root));
const text = (path) => readFileSync(new URL(path, root)).toString();

const PAGE_BYTES = 65_536;
/** Runs of zeros shorter than this stay within a data segment. */
const GAP_BYTES_MIN = 16;

/** Those that every component has, as `base_modules` in toolchain/compiler/src/web.rs has them: first what every request uses. */
function webModules() {
  const entries = JSON.parse(text("guest-js/web/src/index.json")).filter((entry) => entry.file !== undefined);
  const all = [...entries.filter((entry) => entry.core), ...entries.filter((entry) => entry.base && !entry.core)];
  return all.map(({ file }) => {
    const path = file.startsWith("vendor/") ? `target/web/${file.slice("vendor/".length)}` : `guest-js/web/src/${file}`;
    return { name: `elias:web/${file}`, source: text(path) };
  });
}

/** An unsigned number in LEB128. */
function unsigned(value) {
  const bytes = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return Uint8Array.from([...bytes, value]);
}

/** A signed 32-bit number in LEB128. */
function signed(value) {
  const bytes = [];
  for (value |= 0; value < -64 || value > 63; value >>= 7) bytes.push((value & 127) | 128);
  return Uint8Array.from([...bytes, value & 127]);
}

/** The pages that an imported memory begins with; WebAssembly's own API does not say. */
function importedPages(module) {
  let at = 8;
  const number = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = module[at++];
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  };
  const skipName = () => (at = number() + at);
  while (at < module.length) {
    const id = module[at++];
    const end = number() + at;
    if (id === 2) {
      for (let left = number(); left > 0; left--) {
        skipName();
        skipName();
        const kind = module[at++];
        if (kind === 0) number();
        else if (kind === 2) return at++, number();
        else throw new Error(`the engine imports something that is neither a function nor a memory (kind ${kind})`);
      }
    }
    at = end;
  }
  throw new Error("the engine imports no memory");
}

/** Starts the engine with `modules`; gives its memory, zeros where its stack was. */
function boot(engine, modules) {
  const memory = new WebAssembly.Memory({ initial: importedPages(engine) });
  const module = new WebAssembly.Module(engine);
  const imports = { env: { memory } };
  let instance;
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    if (kind !== "function") continue;
    imports[from] ??= {};
    imports[from][name] = (...values) => {
      // As in toolchain/compiler/build.rs: std's one import of WASI preview 1 is bound to the engine's own definition.
      if (from === "wasi_snapshot_preview1") return instance.exports[`__imported_${from}_${name}`](...values);
      throw new Error(`the engine called ${from} ${name} while it started`);
    };
  }
  instance = new WebAssembly.Instance(module, imports);
  const { elias_allocate, elias_boot, __stack_pointer } = instance.exports;
  const stackTop = __stack_pointer.value;
  const strings = modules.flatMap(({ name, source }) => [Buffer.from(name), Buffer.from(source)]);
  const lengths = strings.map(({ length }) => Buffer.from(Uint32Array.of(length).buffer));
  const input = Buffer.concat(strings.flatMap((string, index) => [lengths[index], string]));
  const address = elias_allocate(input.length) >>> 0;
  new Uint8Array(memory.buffer).set(input, address);
  const answer = elias_boot(address, input.length) >>> 0;
  if (__stack_pointer.value !== stackTop) throw new Error("the engine left its stack in use");
  const [at, length] = new Uint32Array(memory.buffer, answer, 2);
  const said = Buffer.from(memory.buffer, at, length).toString();
  if (said !== "{}") throw new Error(`the engine did not start: ${said}`);
  return new Uint8Array(memory.buffer).fill(0, 0, stackTop);
}

/** A core module with this memory. */
function encode(memory) {
  const section = (id, ...parts) => {
    const content = Buffer.concat(parts);
    return Buffer.concat([Uint8Array.of(id), unsigned(content.length), content]);
  };
  const segments = [];
  for (let at = 0; ;) {
    while (at < memory.length && memory[at] === 0) at++;
    if (at === memory.length) break;
    const start = at;
    let end = at;
    for (; at < memory.length && at - end < GAP_BYTES_MIN; at++) if (memory[at] !== 0) end = at + 1;
    const bytes = memory.subarray(start, end);
    segments.push(Uint8Array.of(0, 0x41), signed(start), Uint8Array.of(0x0b), unsigned(bytes.length), bytes);
  }
  return Buffer.concat([
    Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0),
    section(5, Uint8Array.of(1, 0), unsigned(memory.length / PAGE_BYTES)),
    section(11, unsigned(segments.length / 5), ...segments),
  ]);
}

const engine = read("target/engine/engine.wasm");
const modules = webModules();
const madeFrom = createHash("sha256").update(engine).update(JSON.stringify(modules)).update(read("toolchain/setup/base.mjs"));
const [out, note] = ["target/engine/base.wasm", "target/engine/base-made-from"].map((path) => new URL(path, root));
const wanted = madeFrom.digest("hex");
if (!existsSync(out) || !existsSync(note) || text(note) !== wanted) {
  const made = new URL("target/engine/base.wasm.new", root);
  writeFileSync(made, encode(boot(engine, modules)));
  renameSync(made, out);
  writeFileSync(note, wanted);
}
