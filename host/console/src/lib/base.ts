// Where the console is: at a platform, or at a development server, which has one project and nobody who signs in. The
// same files are served at both; what is different is known by the address.

const DEVELOPMENT = "/__elias";

/** The address of the console is `path` or below it. */
const isBelow = (path: string): boolean => {
  const here = globalThis.location?.pathname ?? "";
  return here === path || here.startsWith(`${path}/`);
};

/** Whether this is the console of a development server. */
export const isDevelopment = isBelow(DEVELOPMENT);

/** The path of the console. */
export const BASE = isDevelopment ? DEVELOPMENT : "/console";

/** What stands before `/v1` in the addresses of the API. */
export const API = isDevelopment ? `${DEVELOPMENT}/api` : "";
