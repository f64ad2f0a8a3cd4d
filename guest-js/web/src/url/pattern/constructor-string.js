// Patterns of whole URLs. https://urlpattern.spec.whatwg.org/#constructor-string-parsing (1.6)
import * as canonical from "./canonical.js";
import { compile, DEFAULT } from "./parts.js";
import { tokenize } from "./tokens.js";

const BEFORE_HOSTNAME = ["protocol", "authority", "username", "password"];
const BEFORE_PATHNAME = [...BEFORE_HOSTNAME, "hostname", "port"];
const BEFORE_SEARCH = [...BEFORE_PATHNAME, "pathname"];

/** Whether a protocol's component matches one of the special schemes. */
export const matchesSpecial = ({ regexp }) => canonical.SPECIAL.some((scheme) => regexp.test(scheme));

/** The components that the text of a pattern is made of. */
export function parseConstructorString(input) {
  const tokens = tokenize(input, true);
  const result = {};
  let state = "init";
  let start = 0;
  let at = 0;
  let step = 1;
  let depth = 0;
  let brackets = 0;
  let special = false;

  const token = (index) => tokens[Math.min(index, tokens.length - 1)];
  const isChar = (index, value) => token(index).value === value && ["char", "escaped-char", "invalid-char"].includes(token(index).type);
  const is = (value) => isChar(at, value);
  const component = () => input.slice(token(start).index, token(at).index);
  const isSearchPrefix = () => {
    if (is("?")) return true;
    if (token(at).value !== "?") return false;
    return at === 0 || !["name", "regexp", "close", "asterisk"].includes(token(at - 1).type);
  };
  const change = (next, skip) => {
    if (state !== "init" && state !== "authority") result[state] = component();
    if (state !== "init" && next !== "done") {
      if (BEFORE_HOSTNAME.includes(state) && ["port", "pathname", "search", "hash"].includes(next)) result.hostname ??= "";
      if (BEFORE_PATHNAME.includes(state) && ["search", "hash"].includes(next)) result.pathname ??= special ? "/" : "";
      if (BEFORE_SEARCH.includes(state) && next === "hash") result.search ??= "";
    }
    state = next;
    at += skip;
    start = at;
    step = 0;
  };
  const rewind = (next) => {
    at = start;
    step = 0;
    state = next;
  };
  /** Goes on with what begins after the components up to the path. */
  const afterPath = () => {
    if (isSearchPrefix()) change("search", 1);
    else if (is("#")) change("hash", 1);
  };
  const states = {
    init() {
      if (is(":")) rewind("protocol");
    },
    protocol() {
      if (!is(":")) return;
      special = matchesSpecial(compile(component(), canonical.protocol, DEFAULT));
      if (isChar(at + 1, "/") && isChar(at + 2, "/")) change("authority", 3);
      else change(special ? "authority" : "pathname", 1);
    },
    authority() {
      if (is("@")) rewind("username");
      else if (is("/") || isSearchPrefix() || is("#")) rewind("hostname");
    },
    username() {
      if (is(":")) change("password", 1);
      else if (is("@")) change("hostname", 1);
    },
    password() {
      if (is("@")) change("hostname", 1);
    },
    hostname() {
      if (is("[")) brackets++;
      else if (is("]")) brackets--;
      else if (is(":") && brackets === 0) change("port", 1);
      else if (is("/")) change("pathname", 0);
      else afterPath();
    },
    port() {
      if (is("/")) change("pathname", 0);
      else afterPath();
    },
    pathname: afterPath,
    search() {
      if (is("#")) change("hash", 1);
    },
    hash() {},
  };

  for (; at < tokens.length; at += step) {
    step = 1;
    const { type } = tokens[at];
    if (type === "end") {
      if (state === "init") {
        rewind("init");
        if (is("#")) change("hash", 1);
        else if (isSearchPrefix()) change("search", 1);
        else change("pathname", 0);
        continue;
      }
      if (state === "authority") {
        rewind("hostname");
        continue;
      }
      change("done", 0);
      break;
    }
    if (type === "open") {
      depth++;
      continue;
    }
    if (depth > 0) {
      if (type !== "close") continue;
      depth--;
    }
    states[state]();
  }
  if (result.hostname !== undefined) result.port ??= "";
  return result;
}
