// One clock for all relative times of a page.

class Now {
  at = $state(Date.now());

  constructor() {
    if (typeof window !== "undefined") setInterval(() => (this.at = Date.now()), 5_000);
  }
}

export const now = new Now();
