// node:process. https://nodejs.org/api/process.html
import native from "elias:native";
import { registry } from "../internal/registry.js";
import { isBuiltin } from "./internal/builtin-names.js";
import { checkFunction, checkString, invalidArgType, outOfRange, unavailable } from "./internal/errors.js";

const VERSION = "22.14.0";

// Variables that a component sets hide those of its configuration.
const own = Object.create(null);
const removed = new Set();

// Variables about the terminal and the program, which programs read at their top level. No component's configuration
// has them.
const OF_NO_INTEREST =
  /^(?:\w+_COLOR|COLORTERM|TERM\w*|CI|TEAMCITY_VERSION|DEBUG\w*|NODE_\w+|npm_\w+|READABLE_STREAM|TZ|LANG|LC_\w+)$/;

function configured(key) {
  if (typeof key !== "string" || removed.has(key)) return undefined;
  // During the build there is no configuration; whoever builds is told.
  if (!OF_NO_INTEREST.test(key) && native.environmentAtBuild()) return undefined;
  try {
    const value = registry.env?.[key];
    return value === undefined ? undefined : `${value}`;
  } catch {
    return undefined;
  }
}

function configuredKeys() {
  if (native.environmentAtBuild()) return [];
  try {
    return Reflect.ownKeys(registry.env ?? {}).filter((key) => !removed.has(key));
  } catch {
    return [];
  }
}

export const env = new Proxy(own, {
  get: (_, key) => own[key] ?? (key in Object.prototype ? Object.prototype[key] : configured(key)),
  has: (_, key) => key in own || configured(key) !== undefined,
  set(_, key, value) {
    own[key] = `${value}`;
    return true;
  },
  deleteProperty(_, key) {
    removed.add(key);
    return delete own[key];
  },
  ownKeys: () => [...new Set([...configuredKeys(), ...Reflect.ownKeys(own)])],
  getOwnPropertyDescriptor(_, key) {
    const value = own[key] ?? configured(key);
    return value === undefined ? undefined : { value, writable: true, enumerable: true, configurable: true };
  },
});

export function nextTick(callback, ...args) {
  checkFunction(callback, "callback");
  queueMicrotask(args.length === 0 ? callback : () => callback(...args));
}

/** Seconds and nanoseconds of a clock that never goes back. */
export function hrtime(since = undefined) {
  const now = native.now();
  let seconds = Math.floor(now / 1e3);
  let nanoseconds = Math.floor((now % 1e3) * 1e6);
  if (since !== undefined) {
    if (!Array.isArray(since)) throw invalidArgType("time", "Array", since);
    if (since.length !== 2) throw outOfRange("time", "2", since.length);
    seconds -= since[0];
    nanoseconds -= since[1];
    if (nanoseconds < 0) {
      seconds -= 1;
      nanoseconds += 1e9;
    }
  }
  return [seconds, nanoseconds];
}
hrtime.bigint = () => BigInt(Math.floor(native.now() * 1e6));

export function emitWarning(warning, type = "Warning", code = undefined) {
  if (typeof warning !== "string" && !(warning instanceof Error))
    throw invalidArgType("warning", ["string", "Error"], warning);
  const { name, code: id } =
    typeof type === "object" && type !== null
      ? { name: type.type ?? "Warning", code: type.code }
      : { name: type, code };
  const text = warning instanceof Error ? `${warning.name}: ${warning.message}` : `${name}: ${warning}`;
  globalThis.console?.warn(id === undefined ? text : `[${id}] ${text}`);
}

/** The module of Node.js with that name, if the component has it: if something in the source names it. */
export function getBuiltinModule(name) {
  checkString(name, "id");
  const bare = name.replace(/^node:/, "");
  return isBuiltin(bare) ? native.builtinModule(bare) : undefined;
}

const refuse = (what, instead) => () => {
  throw unavailable(`process.${what}`, instead);
};

export const exit = refuse("exit", "Return from the handler, or throw an Error.");
export const abort = refuse("abort", "Throw an Error.");
export const kill = refuse("kill", "There are no processes.");
export const chdir = refuse("chdir", "There is no file system.");
export const binding = refuse("binding", "There is nothing native to bind to.");
export const dlopen = refuse("dlopen", "There is nothing native to load.");

export const cwd = () => "/";
export const uptime = () => native.now() / 1e3;
export const umask = () => 0o22;
export const cpuUsage = () => ({ user: Math.floor(native.now() * 1e3), system: 0 });
export const resourceUsage = () => ({ userCPUTime: Math.floor(native.now() * 1e3), systemCPUTime: 0, maxRSS: 0 });
// The host alone knows how much memory an instance holds.
export const memoryUsage = () => ({ rss: 0, heapTotal: 0, heapUsed: 0, external: 0, arrayBuffers: 0 });
memoryUsage.rss = () => 0;

export const argv = ["node", "/app.js"];
export const argv0 = "node";
export const execArgv = [];
export const execPath = "/bin/node";
export const arch = "wasm32";
export const platform = "linux";
export const pid = 1;
export const ppid = 0;
export const title = "node";
export const version = `v${VERSION}`;
export const versions = Object.freeze({
  __proto__: null,
  node: VERSION,
  elias: "0.1.0",
  quickjs: "0.16.2",
  modules: "127",
});
export const release = Object.freeze({ name: "node" });
export const config = Object.freeze({ target_defaults: {}, variables: {} });
export const features = Object.freeze({ inspector: false, tls: false, typescript: false });
export const exitCode = undefined;

/** A standard stream: whole lines go to the log. */
function output(level, fd) {
  let rest = "";
  return {
    fd,
    isTTY: false,
    writable: true,
    columns: 80,
    write(chunk, encoding, callback) {
      rest += typeof chunk === "string" ? chunk : native.utf8Decode(new Uint8Array(chunk), false, true);
      const end = rest.lastIndexOf("\n");
      if (end >= 0) {
        globalThis.console?.[level](rest.slice(0, end));
        rest = rest.slice(end + 1);
      }
      const done = typeof encoding === "function" ? encoding : callback;
      if (typeof done === "function") queueMicrotask(() => done());
      return true;
    },
    end(chunk) {
      if (chunk !== undefined) this.write(chunk);
      if (rest !== "") this.write("\n");
    },
    on: self,
    once: self,
    off: self,
    removeListener: self,
    emit: () => false,
    getColorDepth: () => 1,
    hasColors: () => false,
  };
}

function self() {
  return this;
}

export const stdout = output("log", 1);
export const stderr = output("error", 2);
export const stdin = { fd: 0, isTTY: false, on: self, once: self, off: self, resume: self, pause: self };

// Nothing happens to the process that a component could hear of: signals and its end are the host's.
export const on = self;
export const once = self;
export const off = self;
export const addListener = self;
export const removeListener = self;
export const removeAllListeners = self;
export const prependListener = self;
export const setMaxListeners = self;
export const getMaxListeners = () => 10;
export const emit = () => false;
export const listeners = () => [];
export const listenerCount = () => 0;
export const eventNames = () => [];
export const setUncaughtExceptionCaptureCallback = () => {};
export const hasUncaughtExceptionCaptureCallback = () => false;

const process = {
  env,
  nextTick,
  hrtime,
  emitWarning,
  getBuiltinModule,
  exit,
  abort,
  kill,
  chdir,
  binding,
  dlopen,
  cwd,
  uptime,
  umask,
  cpuUsage,
  resourceUsage,
  memoryUsage,
  argv,
  argv0,
  execArgv,
  execPath,
  arch,
  platform,
  pid,
  ppid,
  title,
  version,
  versions,
  release,
  config,
  features,
  exitCode,
  stdout,
  stderr,
  stdin,
  on,
  once,
  off,
  addListener,
  removeListener,
  removeAllListeners,
  prependListener,
  setMaxListeners,
  getMaxListeners,
  emit,
  listeners,
  listenerCount,
  eventNames,
  setUncaughtExceptionCaptureCallback,
  hasUncaughtExceptionCaptureCallback,
};
Object.defineProperty(process, Symbol.toStringTag, { value: "process", configurable: true });

export default process;
