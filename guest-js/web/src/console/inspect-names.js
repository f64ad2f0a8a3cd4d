// The names by which console.log and util.inspect show objects: classes, tags, and the first line of an error.

/** The name of the class that made an object, as far as its prototypes tell; null for an object without any. */
export function nameOf(value, context, level = context.path.length) {
  const first = Object.getPrototypeOf(value);
  for (let at = value; at !== null; at = Object.getPrototypeOf(at)) {
    const constructor = Object.getOwnPropertyDescriptor(at, "constructor")?.value;
    if (typeof constructor === "function" && constructor.name !== "" && isInstance(value, constructor)) {
      return `${constructor.name}`;
    }
  }
  if (first === null) return null;
  const kind = Object.prototype.toString.call(value).slice(8, -1);
  const of = level > context.depth ? "Complex prototype" : nameOf(first, context, level + 1);
  return `${kind} <${of ?? "[Object: null prototype] {}"}>`;
}

function isInstance(value, constructor) {
  try {
    return value instanceof constructor;
  } catch {
    return false;
  }
}

/** `name` with its tag and a space, or what stands for it in an object without a prototype. */
export function prefixOf(name, tag, fallback, size = "") {
  if (name === null) return `[${fallback}${size}: null prototype] ${tag !== "" && fallback !== tag ? `[${tag}] ` : ""}`;
  return `${name}${size} ${tag !== "" && name !== tag ? `[${tag}] ` : ""}`;
}

/**
 * An error with its stack, which begins with the error as it was when it was made. As in Node, the name of a class
 * stands before the name that it inherited, and a name that the error got later is shown.
 */
export function errorText(error, className, tag) {
  const name = error.name === undefined || error.name === null ? "Error" : `${error.name}`;
  const title = error.message ? `${name}: ${error.message}` : name;
  let stack = error.stack ? `${error.stack}`.trimEnd() : title;
  if (/^\s+at /.test(stack)) stack = `${title}\n${stack}`;
  const made = /^[A-Z][\w$ -]*(?=:|\n\s+at |$)/.exec(stack);
  if (made !== null && made[0] !== name && !stack.slice(0, stack.indexOf("\n") >>> 0).includes(name)) {
    stack = `${name}${stack.slice(made[0].length)}`;
  }
  stack = withClass(stack, name, className, tag);
  const { message } = error;
  const after = typeof message === "string" && message !== "" ? stack.indexOf(message) : -1;
  const frames = stack.indexOf("\n    at", after === -1 ? 0 : after + message.length);
  if (frames === -1) return `[${stack}]`;
  return `${stack.slice(0, frames + 1)}${withoutSharedLines(stack.slice(frames + 1), error)}`;
}

/** How many lines in a row two stacks must share before the outer error's are left out. */
const SHARED_LINES_MIN = 4;

/** The frames of an error; those that its cause, shown below it, has too are told by their number. */
function withoutSharedLines(frames, error) {
  const { cause } = error;
  if (!(cause instanceof Error) || typeof cause.stack !== "string") return frames;
  const start = cause.stack.indexOf("\n    at");
  if (start === -1) return frames;
  const [lines, others] = [frames.split("\n"), cause.stack.slice(start + 1).trimEnd().split("\n")];
  for (let at = 0; at + SHARED_LINES_MIN <= lines.length; at++) {
    const other = others.indexOf(lines[at]);
    let length = other === -1 ? 0 : 1;
    while (length > 0 && at + length < lines.length && lines[at + length] === others[other + length]) length++;
    if (length < SHARED_LINES_MIN) continue;
    // The first and the last of them stay, so that one sees what is left out.
    lines.splice(at + 1, length - 2, `    ... ${length - 2} lines matching cause stack trace ...`);
    break;
  }
  return lines.join("\n");
}

function withClass(stack, name, className, tag) {
  const begins = stack.startsWith(name) && (stack.length === name.length || /^[:\n]/.test(stack.slice(name.length)));
  if (className !== null && !(name.endsWith("Error") && begins)) return stack;
  let length = name.length;
  let fallback = "Error";
  if (className === null) {
    const found = /^([A-Z][a-z_ A-Z0-9[\]()-]+)(?::|\n\s+at)/.exec(stack) ?? /^([a-z_A-Z0-9-]*Error)$/.exec(stack);
    length = found === null ? 0 : found[1].length;
    fallback = found?.[1] || "Error";
  }
  const prefix = prefixOf(className, tag, fallback).slice(0, -1);
  if (name === prefix) return stack;
  if (!prefix.includes(name)) return `${prefix} [${name}]${stack.slice(length)}`;
  return length === 0 ? `${prefix}: ${stack}` : `${prefix}${stack.slice(length)}`;
}
