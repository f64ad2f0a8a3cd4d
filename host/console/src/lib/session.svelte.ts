// Who is signed in. The token itself is never kept here: the server puts it behind a cookie that scripts cannot read.

import type { components } from "../api/schema";
import { BASE } from "./base";

type Whoami = components["schemas"]["Whoami"];

/** What `/console/session` says. */
interface ServerSession {
  principal: (Whoami & { session: string | null }) | null;
  has_identity_provider: boolean;
  version: string;
}

export type SessionState = "unknown" | "signed-out" | "signed-in" | "expired";

/** A refusal of a sign-in. */
export interface Refused {
  code: string;
  detail: string;
}

const SESSION = `${BASE}/session`;
const CHANNEL = "elias-session";

class Session {
  state = $state<SessionState>("unknown");
  who = $state.raw<Whoami | undefined>();
  /** The id of this browser's session. */
  id = $state<string | null>(null);
  /** Whether users can sign in at an identity provider. */
  provider = $state(false);
  version = $state("");
  #waiting: (() => void)[] = [];
  #channel = typeof BroadcastChannel === "undefined" ? undefined : new BroadcastChannel(CHANNEL);

  constructor() {
    // Another tab has signed in, at the identity provider for one: what waits here goes on.
    this.#channel?.addEventListener("message", () => {
      if (this.state !== "signed-in") void this.load();
    });
  }

  /** Asks the server who is signed in. */
  async load(): Promise<void> {
    const response = await fetch(SESSION, { headers: { accept: "application/json" } });
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    const { principal, has_identity_provider, version } = (await response.json()) as ServerSession;
    this.provider = has_identity_provider;
    this.version = version;
    if (principal === null) {
      if (this.state !== "expired") this.state = "signed-out";
      return;
    }
    this.who = principal;
    this.id = principal.session;
    this.state = "signed-in";
    for (const resolve of this.#waiting.splice(0)) resolve();
    // Where the provider led back to, after a sign-in in a tab of its own.
    if (window.location.pathname === `${BASE}/signed-in`) this.#channel?.postMessage("signed-in");
  }

  /** Signs in with a token. The result is the server's reason if it does not take the token. */
  async signIn(token: string): Promise<Refused | undefined> {
    const response = await fetch(SESSION, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ token }),
    });
    if (!response.ok) {
      const problem = (await response.json().catch(() => ({}))) as Partial<Refused>;
      return {
        code: problem.code ?? "bad-answer",
        detail: problem.detail ?? `${response.status} ${response.statusText}`,
      };
    }
    await this.load();
    this.#channel?.postMessage("signed-in");
    return undefined;
  }

  async signOut(): Promise<void> {
    await fetch(SESSION, { method: "DELETE" });
    this.who = undefined;
    this.state = "signed-out";
  }

  /** Is fulfilled once somebody is signed in again. The page stays as it is beneath the dialog meanwhile. */
  renewed(): Promise<void> {
    if (this.state === "signed-in") this.state = "expired";
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

export const session = new Session();
