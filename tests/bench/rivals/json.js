// A router that checks a JSON body with zod, for ELIAS, Node and workerd alike.
import { Hono } from "hono";
import { z } from "zod";

const Order = z.object({
  customer: z.object({ name: z.string().min(1), email: z.email() }),
  items: z.array(z.object({
    sku: z.string().regex(/^item-\d{4}$/),
    name: z.string().max(100),
    quantity: z.number().int().positive(),
    price: z.number().nonnegative(),
    tags: z.array(z.string()),
  })).max(100),
});

const app = new Hono();

app.post("/", async (c) => {
  const order = Order.safeParse(await c.req.json());
  if (!order.success) return c.json({ error: "the order is not valid", issues: order.error.issues }, 422);
  const { customer, items } = order.data;
  const total = items.reduce((sum, { quantity, price }) => sum + quantity * price, 0);
  return c.json({ customer: customer.name, items: items.length, total }, 201);
});

// As in examples/router-hono: Hono's tables are built at the first request.
await app.request("/");

export default app;
