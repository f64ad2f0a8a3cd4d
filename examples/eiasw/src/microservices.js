// Three services, one of which asks the two others: each has its own state, and they share none.
import { registry } from "elias/eiasw";

registry.register("accounts", {
  onStart: async (context) => {
    context.credit ??= new Map([["ada", 50], ["bo", 5]]);
  },
  onMessage: async ({ user, price }, { credit }) => {
    const left = (credit.get(user) ?? 0) - price;
    if (left < 0) throw new RangeError(`${user} has not enough credit`);
    credit.set(user, left);
    return left;
  },
});

registry.register("catalog", {
  onStart: async (context) => {
    context.prices ??= new Map([["tea", 4], ["cup", 9]]);
  },
  onMessage: async ({ sku }, { prices }) => {
    if (!prices.has(sku)) throw new RangeError(`there is no ${sku}`);
    return prices.get(sku);
  },
});

registry.register("orders", {
  onStart: async (context) => {
    context.orders ??= [];
  },
  // Where one of the services that it asks refuses, the order is not there either.
  onMessage: async ({ user, sku }, { orders }, { id }) => {
    const order = { id, user, sku };
    orders.push(order);
    order.price = await registry.send("catalog", { sku });
    order.left = await registry.send("accounts", { user, price: order.price });
    return { ...order, number: orders.length };
  },
});

/** POST /orders?user=USER&sku=SKU. */
export async function order({ searchParams }) {
  try {
    const sent = registry.send("orders", { user: searchParams.get("user"), sku: searchParams.get("sku") });
    return Response.json({ sent: sent.id, ...(await sent) });
  } catch (error) {
    return Response.json({ error: error.message }, { status: 409 });
  }
}
