// A cart for each user and a stock for all, as service workers: what they hold is kept, and nothing is stored by hand.
//
//     GET  /carts/USER              what is in the cart
//     POST /carts/USER/SKU?n=2      puts pieces in, which the stock reserves
//     GET  /stock/SKU               how many are left
import { worker, workers } from "elias";

/** How long a cart keeps its pieces. */
const EXPIRES_MS = 30 * 60 * 1000;

export class Stock extends worker.Worker {
  #left = new Map([["tea", 10], ["cup", 3]]);

  left(sku) {
    return this.#left.get(sku) ?? 0;
  }

  reserve(sku, n) {
    const left = this.left(sku);
    if (n > left) throw new RangeError(`${left} of ${sku} are left, not ${n}`);
    this.#left.set(sku, left - n);
  }

  giveBack(items) {
    for (const [sku, n] of items) this.#left.set(sku, this.left(sku) + n);
  }
}

export class Cart extends worker.Worker {
  items = new Map();

  /** If the stock refuses, the cart is as it was before the call. */
  async add(sku, n) {
    this.items.set(sku, (this.items.get(sku) ?? 0) + n);
    await workers.get(Stock, "all").reserve(sku, n);
    worker.after(EXPIRES_MS, "expire");
    return this.items;
  }

  list() {
    return this.items;
  }

  async onAlarm() {
    await workers.get(Stock, "all").giveBack(this.items);
    this.items.clear();
  }
}

export default {
  async fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    const [, kind, name, sku] = pathname.split("/").map(decodeURIComponent);
    if (kind === "stock" && name) return Response.json({ left: await workers.get(Stock, "all").left(name) });
    if (kind !== "carts" || !name) return new Response("not found\n", { status: 404 });
    const cart = workers.get(Cart, name);
    if (request.method !== "POST") return Response.json(Object.fromEntries(await cart.list()));
    const n = Number(searchParams.get("n") ?? 1);
    if (!sku || !Number.isInteger(n) || n < 1) return new Response("how many of what?\n", { status: 400 });
    try {
      return Response.json(Object.fromEntries(await cart.add(sku, n)));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return new Response(`${error.message}\n`, { status: 409 });
    }
  },
};
