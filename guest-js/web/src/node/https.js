// node:https. A component does not see how its caller's connection is encrypted.
import http, { Agent, Server, createServer, globalAgent } from "./http.js";
import { unavailable } from "./internal/errors.js";

const refuse = (what) => () => {
  throw unavailable(`https.${what}`, "Use the global `fetch`.");
};

export const request = refuse("request");
export const get = refuse("get");

export { Agent, Server, createServer, globalAgent };
export default { ...http, get, request };
