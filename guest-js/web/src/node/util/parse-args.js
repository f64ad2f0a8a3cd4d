// util.parseArgs: the tokens of a command line, and what they stand for.
// https://nodejs.org/api/util.html#utilparseargsconfig
import { checkObject, checkString, invalidArgType, invalidArgValue, nodeError } from "../internal/errors.js";

const fail = (code, message) => nodeError(TypeError, `ERR_PARSE_ARGS_${code}`, message);

function checkBoolean(value, name) {
  if (typeof value !== "boolean") throw invalidArgType(name, "boolean", value);
}

/** A member of an option's description; of a name that has none, undefined. */
function member(options, name, key) {
  return Object.hasOwn(options, name) && Object.hasOwn(options[name], key) ? options[name][key] : undefined;
}

function checkDefault(option, name) {
  const check = option.type === "string" ? checkString : checkBoolean;
  if (!option.multiple) return check(option.default, name);
  if (!Array.isArray(option.default)) throw invalidArgType(name, "Array", option.default);
  option.default.forEach((value, at) => check(value, `${name}[${at}]`));
}

function checkOptions(options) {
  for (const [name, option] of Object.entries(options)) {
    checkObject(option, `options.${name}`);
    if (!["string", "boolean"].includes(option.type)) {
      throw invalidArgType(`options.${name}.type`, "('string|boolean')", option.type);
    }
    if (Object.hasOwn(option, "short")) {
      checkString(option.short, `options.${name}.short`);
      if (option.short.length !== 1) {
        throw invalidArgValue(`options.${name}.short`, option.short, "must be a single character");
      }
    }
    if (Object.hasOwn(option, "multiple")) checkBoolean(option.multiple, `options.${name}.multiple`);
    if (option.default !== undefined) checkDefault(option, `options.${name}.default`);
  }
}

/** The name of the option with this letter; without one, the letter. */
function longName(letter, options) {
  return Object.keys(options).find((name) => member(options, name, "short") === letter) ?? letter;
}

/** A group of letters as one argument each; the rest after a letter that takes a value belongs to it. */
function ungrouped(group, options) {
  const letters = [];
  for (let at = 1; at < group.length; at++) {
    const takesValue = member(options, longName(group[at], options), "type") === "string";
    letters.push(takesValue && at < group.length - 1 ? `-${group.slice(at)}` : `-${group[at]}`);
    if (takesValue) break;
  }
  return letters;
}

function tokenize(args, options) {
  const tokens = [];
  const rest = [...args];
  let index = -1;
  let grouped = 0;
  const add = (name, rawName, value, inlineValue) => {
    tokens.push({ kind: "option", name, rawName, index, value, inlineValue });
  };
  /** Adds an option whose value, if it takes one, is the next argument. */
  const addAlone = (name, rawName) => {
    const takesValue = member(options, name, "type") === "string" && rest.length > 0;
    add(name, rawName, takesValue ? rest.shift() : undefined, takesValue ? false : undefined);
    if (takesValue) index++;
  };
  while (rest.length > 0) {
    const arg = rest.shift();
    if (grouped > 0) grouped--;
    else index++;
    const isShort = arg.length > 1 && arg[0] === "-" && arg[1] !== "-";
    if (arg === "--") {
      tokens.push({ kind: "option-terminator", index });
      for (const value of rest) tokens.push({ kind: "positional", index: ++index, value });
      break;
    }
    if (isShort && arg.length === 2) {
      addAlone(longName(arg[1], options), arg);
    } else if (isShort && member(options, longName(arg[1], options), "type") !== "string") {
      const letters = ungrouped(arg, options);
      rest.unshift(...letters);
      // The group is one argument, and its first letter has counted it.
      grouped = letters.length;
    } else if (isShort) {
      add(longName(arg[1], options), arg.slice(0, 2), arg.slice(2), true);
    } else if (arg.length > 2 && arg.startsWith("--")) {
      const end = arg.indexOf("=", 3);
      if (end === -1) addAlone(arg.slice(2), arg);
      else add(arg.slice(2, end), arg.slice(0, end), arg.slice(end + 1), true);
    } else {
      tokens.push({ kind: "positional", index, value: arg });
    }
  }
  return tokens;
}

/** Throws unless the option is a known one that is used as it is described. */
function checkUse({ name, rawName, value, inlineValue }, { options, allowPositionals, allowNegative }) {
  const positive = allowNegative && !Object.hasOwn(options, name) && name.startsWith("no-") ? name.slice(3) : name;
  const type = member(options, positive, "type");
  if (type === undefined || (positive !== name && type !== "boolean")) {
    const hint =
      ". To specify a positional argument starting with a '-', place it at the end of the command after '--', as in '-- ";
    const more = allowPositionals ? `${hint}${JSON.stringify(rawName)}` : "";
    throw fail("UNKNOWN_OPTION", `Unknown option '${rawName}'${more}`);
  }
  const short = member(options, name, "short");
  const both = `${short ? `-${short}, ` : ""}--${name}`;
  const misused = (text) => fail("INVALID_OPTION_VALUE", `Option '${text}`);
  if (type === "string" && typeof value !== "string") throw misused(`${both} <value>' argument missing`);
  if (type === "boolean" && value !== undefined) throw misused(`${both}' does not take an argument`);
  if (!inlineValue && value?.length > 1 && value[0] === "-") {
    const example = rawName.startsWith("--") ? `'${rawName}=-XYZ'` : `'--${name}=-XYZ' or '${rawName}-XYZ'`;
    throw misused(
      `${rawName}' argument is ambiguous.\nDid you forget to specify the option argument for '${rawName}'?\n` +
        `To specify an option argument starting with a dash use ${example}.`,
    );
  }
}

/** Sets what an option stands for. */
function store(token, values, options, allowNegative) {
  let { value } = token;
  if (token.name === "__proto__") return;
  if (allowNegative && token.name.startsWith("no-") && value === undefined) {
    token.name = token.name.slice(3);
    value = false;
  }
  if (member(options, token.name, "multiple")) values[token.name] = [...(values[token.name] ?? []), value ?? true];
  else values[token.name] = value ?? true;
}

/** The options and the other arguments of a command line. A component has none: `args` has to be given. */
export function parseArgs(config = {}) {
  checkObject(config, "config");
  const { args = [], strict = true, options = {}, tokens: wantsTokens = false, allowNegative = false } = config;
  const { allowPositionals = !strict } = config;
  if (!Array.isArray(args)) throw invalidArgType("args", "Array", args);
  const flags = { strict, allowPositionals, tokens: wantsTokens, allowNegative };
  for (const [name, value] of Object.entries(flags)) checkBoolean(value, name);
  checkObject(options, "options");
  checkOptions(options);
  const tokens = tokenize(args, options);
  const values = Object.create(null);
  const positionals = [];
  for (const token of tokens) {
    if (token.kind === "option") {
      if (strict) checkUse(token, { options, allowPositionals, allowNegative });
      store(token, values, options, allowNegative);
    } else if (token.kind === "positional") {
      if (!allowPositionals) {
        const text = `Unexpected argument '${token.value}'. This command does not take positional arguments`;
        throw fail("UNEXPECTED_POSITIONAL", text);
      }
      positionals.push(token.value);
    }
  }
  for (const [name, option] of Object.entries(options)) {
    if (name === "__proto__" || option.default === undefined) continue;
    values[name] ??= option.default;
  }
  return wantsTokens ? { values, positionals, tokens } : { values, positionals };
}
