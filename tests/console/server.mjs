// Stands for the console's own server where elias-serve does not have it: the built files under its policies, a cookie
// for a token, and /v1 behind it. Nothing else of the tests knows of it.
import { createServer, request } from "node:http";
import { randomUUID } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { join, normalize } from "node:path";

export const APPLICATION =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
  "font-src 'self'; connect-src 'self'; frame-src 'self'; worker-src 'self'; manifest-src 'self'; " +
  "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types svelte-trusted-html elias";
const EDITOR =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; " +
  "connect-src 'none'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";
const SCRIPT = "default-src 'none'; script-src 'self'";
const TYPES = {
  html: "text/html; charset=utf-8",
  js: "text/javascript",
  css: "text/css",
  svg: "image/svg+xml",
  ttf: "font/ttf",
};

/** Serves the console of a platform whose admin API is at `admin`; gives the URL and what ends it. */
export function serve(admin, dist) {
  const sessions = new Map();
  const tokenOf = (incoming) => sessions.get(/(?:^|; )session=([^;]+)/.exec(incoming.headers.cookie ?? "")?.[1]);
  const whoami = async (token) => {
    if (token === undefined) return null;
    const response = await fetch(`${admin}/v1/whoami`, { headers: { authorization: `Bearer ${token}` } });
    return response.ok ? response.json() : null;
  };

  const server = createServer(async (incoming, outgoing) => {
    const { pathname } = new URL(incoming.url, admin);
    const json = (status, value, headers = {}) => {
      outgoing.writeHead(status, { "content-type": "application/json", "cache-control": "no-store", ...headers });
      outgoing.end(value === undefined ? undefined : JSON.stringify(value));
    };
    if (pathname.startsWith("/v1/")) {
      const token = tokenOf(incoming);
      const headers = { ...incoming.headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
      delete headers.cookie;
      const forwarded = request(admin + incoming.url, { method: incoming.method, headers }, (response) => {
        outgoing.writeHead(response.statusCode, response.headers);
        response.pipe(outgoing);
      });
      forwarded.on("error", () => outgoing.destroy());
      outgoing.on("close", () => forwarded.destroy());
      incoming.pipe(forwarded);
      return;
    }
    if (pathname === "/console/session") {
      if (incoming.method === "DELETE") {
        return json(204, undefined, { "set-cookie": "session=; Max-Age=0; Path=/" });
      }
      if (incoming.method === "POST") {
        let body = "";
        for await (const piece of incoming) body += piece;
        const { token } = JSON.parse(body);
        const principal = await whoami(token.trim());
        if (principal === null) return json(401, { code: "unauthenticated", detail: "the token is not valid" });
        const id = randomUUID();
        sessions.set(id, token.trim());
        return json(
          201,
          { principal, has_identity_provider: false, version: "0" },
          { "set-cookie": `session=${id}; HttpOnly; SameSite=Strict; Path=/` },
        );
      }
      return json(200, { principal: await whoami(tokenOf(incoming)), has_identity_provider: false, version: "0" });
    }
    const name = normalize(pathname.replace(/^\/console\/?/, "")).replace(/^(\.\.?(\/|$))+/, "");
    const is = (path) => statSync(join(dist, path), { throwIfNoEntry: false })?.isFile() ?? false;
    const file = name === "editor" ? "editor.html" : is(name) ? name : name.includes(".") ? undefined : "index.html";
    if (file === undefined) return json(404, { code: "not-found" });
    const type = TYPES[file.split(".").pop()] ?? "application/octet-stream";
    const policy = file === "editor.html" ? EDITOR : file.endsWith(".html") ? APPLICATION : SCRIPT;
    outgoing.writeHead(200, {
      "content-type": type,
      "content-security-policy": policy,
      "referrer-policy": "same-origin",
    });
    outgoing.end(readFileSync(join(dist, file)));
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      resolve({
        url: `http://127.0.0.1:${server.address().port}`,
        forget: () => sessions.clear(),
        close: () => {
          server.closeAllConnections();
          server.close();
        },
      });
    });
  });
}
