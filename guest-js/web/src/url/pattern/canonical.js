// The canonical forms of a URL's components. https://urlpattern.spec.whatwg.org/#canon-encoding-callbacks (3.1)
import { URL } from "../url.js";

export const SPECIAL = ["ftp", "file", "http", "https", "ws", "wss"];
const DEFAULT_PORTS = { ftp: "21", http: "80", https: "443", ws: "80", wss: "443" };

export const isSpecial = (protocol) => SPECIAL.includes(protocol);
export const isDefaultPort = (protocol, port) => DEFAULT_PORTS[protocol] !== undefined && DEFAULT_PORTS[protocol] === port;

const invalid = (what, value) => new TypeError(`${JSON.stringify(value.slice(0, 200))} is not a valid ${what} of a URL`);

/** The text without the characters that the URL parser ignores. */
const withoutBreaks = (value) => value.replace(/[\t\n\r]/g, "");

function parsed(text, what, value) {
  const url = URL.parse(text);
  if (url === null) throw invalid(what, value);
  return url;
}

const dummy = () => new URL("https://dummy.invalid/");

export function protocol(value) {
  return value === "" ? "" : parsed(`${value}://dummy.invalid/`, "protocol", value).protocol.slice(0, -1);
}

export function username(value) {
  const url = dummy();
  url.username = value;
  return url.username;
}

export function password(value) {
  const url = dummy();
  url.password = value;
  return url.password;
}

/** As the parser's hostname state: what ends a host ends it, and a port is not of it. */
export function hostname(value) {
  if (value === "") return "";
  const host = /^[^/?#\\]*/.exec(withoutBreaks(value))[0];
  if (host === "" || host.includes("@") || /:(?![^[]*\])/.test(host)) throw invalid("host name", value);
  return parsed(`https://${host}/`, "host name", value).hostname;
}

export function ipv6Hostname(value) {
  if (!/^[0-9a-fA-F[\]:]*$/.test(value)) throw invalid("IPv6 address", value);
  return value.toLowerCase();
}

const PORT_MAX = 65_535;

export function port(value, scheme = "") {
  if (value === "") return "";
  const digits = /^[0-9]*/.exec(withoutBreaks(value))[0];
  if (digits === "" || Number(digits) > PORT_MAX) throw invalid("port", value);
  const number = String(Number(digits));
  return isDefaultPort(scheme, number) ? "" : number;
}

export function pathname(value) {
  if (value === "") return "";
  const url = dummy();
  const isAbsolute = value.startsWith("/");
  // The mark keeps the parser from making a path of what is only a part of one.
  url.pathname = isAbsolute ? value : `/-${value}`;
  return isAbsolute ? url.pathname : url.pathname.slice(2);
}

export function opaquePathname(value) {
  // The C0 control percent-encode set.
  return withoutBreaks(value).replace(/[^\x20-\x7e]/gu, (char) => encodeURIComponent(char.toWellFormed()));
}

export function search(value) {
  const url = dummy();
  url.search = `?${value}`;
  return url.search.slice(1);
}

export function hash(value) {
  const url = dummy();
  url.hash = `#${value}`;
  return url.hash.slice(1);
}
