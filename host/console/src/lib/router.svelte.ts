// The address bar as state. Every page, filter and dialog that is worth a link has an address below the console's path.

import { BASE } from "./base";

export { BASE };

class Router {
  path = $state("/");
  query = $state.raw(new URLSearchParams());

  constructor() {
    if (typeof window === "undefined") return;
    this.#read();
    window.addEventListener("popstate", () => this.#read());
    document.addEventListener("click", (event) => this.#click(event));
  }

  /** Goes to an address below the console, such as `/t/default/jobs?state=dead`. */
  go(address: string): void {
    history.pushState(null, "", BASE + address);
    this.#read();
    window.scrollTo(0, 0);
  }

  /** Goes to an address in place of this one, so that the way back does not lead here. */
  replace(address: string): void {
    history.replaceState(null, "", BASE + address);
    this.#read();
  }

  /** Changes parameters of the address in place; an empty value removes one. */
  setQuery(values: Record<string, string>): void {
    const query = new URLSearchParams(this.query);
    for (const [name, value] of Object.entries(values)) {
      if (value === "") query.delete(name);
      else query.set(name, value);
    }
    const text = query.toString();
    history.replaceState(null, "", BASE + this.path + (text === "" ? "" : `?${text}`));
    this.query = query;
  }

  /** The address with its parameters. */
  get address(): string {
    const text = this.query.toString();
    return this.path + (text === "" ? "" : `?${text}`);
  }

  #read(): void {
    const { pathname, search } = window.location;
    const path = pathname.startsWith(BASE) ? pathname.slice(BASE.length) : pathname;
    this.path = path === "" ? "/" : path;
    this.query = new URLSearchParams(search);
  }

  // Links are links: middle clicks, modifiers and downloads stay the browser's.
  #click(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest?.("a");
    if (link === null || link === undefined || link.target !== "" || link.hasAttribute("download")) return;
    const url = new URL(link.href, window.location.href);
    if (url.origin !== window.location.origin || !url.pathname.startsWith(`${BASE}/`)) return;
    if (url.hash !== "" && url.pathname === window.location.pathname) return;
    event.preventDefault();
    this.go(url.pathname.slice(BASE.length) + url.search);
  }
}

export const router = new Router();

/** The values of the parts `:name` of a pattern, if the path has its form. */
export function match(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = pattern.split("/");
  const given = path.split("/");
  if (wanted.length !== given.length) return undefined;
  const values: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? "";
    if (part.startsWith(":")) {
      if (value === "") return undefined;
      try {
        values[part.slice(1)] = decodeURIComponent(value);
      } catch {
        return undefined;
      }
    } else if (part !== value) return undefined;
  }
  return values;
}

/** A path below the console from its parts, each escaped. */
export function path(...parts: (string | number)[]): string {
  return parts.map((part) => `/${encodeURIComponent(part)}`).join("");
}

/** The address of a link. */
export function href(address: string): string {
  return BASE + address;
}
