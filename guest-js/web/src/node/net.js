// node:net: isIP and the like. There are no sockets: connections are for `fetch`. https://nodejs.org/api/net.html
import { unavailable } from "./internal/errors.js";

const V4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

export const isIPv4 = (text) => V4.test(`${text}`);

export function isIPv6(text) {
  let address = `${text}`.replace(/%[^%]+$/, "");
  const last = address.slice(address.lastIndexOf(":") + 1);
  if (last.includes(".")) {
    if (!isIPv4(last)) return false;
    address = `${address.slice(0, -last.length)}0:0`;
  }
  const halves = address.split("::");
  const groups = halves.flatMap((half) => (half === "" ? [] : half.split(":")));
  if (halves.length > 2 || !groups.every((group) => /^[\da-f]{1,4}$/i.test(group))) return false;
  return halves.length === 2 ? groups.length < 8 : groups.length === 8;
}

export const isIP = (text) => (isIPv4(text) ? 4 : isIPv6(text) ? 6 : 0);

const refuse = (what) => () => {
  throw unavailable(`net.${what}`, "Use the global `fetch` for HTTP, and `db` or `cache` of the package `elias` for data.");
};

export const connect = refuse("connect");
export const createConnection = refuse("createConnection");
export const createServer = refuse("createServer");

export class Socket {
  constructor() {
    refuse("Socket")();
  }
}

export class Server {
  constructor() {
    refuse("Server")();
  }
}

export default { isIP, isIPv4, isIPv6, connect, createConnection, createServer, Socket, Stream: Socket, Server };
