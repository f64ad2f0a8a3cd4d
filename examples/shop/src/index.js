// A shop: an order is an event, the event a job, the job does its steps once each, and a schedule reports.
import { db, events, jobs, log, sql, step } from "elias";

/** The most that a card pays, in cents. */
const CARD_LIMIT = 100_000;

async function place(request) {
  const { id, customer, item, total } = await request.json();
  if (![id, customer, item].every((text) => typeof text === "string" && text !== "") || !Number.isInteger(total)) {
    return Response.json({ error: "an order has an id, a customer, an item and a total in cents" }, { status: 422 });
  }
  // The order and its event are one transaction: there are both, or neither.
  await db.transaction(async (tx) => {
    const { affected } = await tx.query(sql`
      INSERT INTO orders (id, customer, item, total, state) VALUES (${id}, ${customer}, ${item}, ${total}, 'placed')
      ON CONFLICT (id) DO NOTHING`);
    // A client that sends the order again causes no second event.
    if (affected === 1) await events.publish("order.placed", { id }, { tx, subject: customer });
  });
  return Response.json({ id }, { status: 202 });
}

/** A payment. A second one for an order would break the primary key: the step makes sure there is none. */
async function charge(tx, { id, total }) {
  await tx.query(sql`INSERT INTO payments (order_id, amount) VALUES (${id}, ${total})`);
  return { paid: total };
}

/** A parcel service that does not answer at once when it is asked for glass. */
function bookParcel({ id, item }, attempt) {
  if (item === "glass" && attempt === 1) throw new Error("the parcel service does not answer");
  return { parcel: `parcel-${id}` };
}

export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (request.method === "POST" && pathname === "/orders") return place(request);
    if (pathname === "/reports") return Response.json(await db.query("SELECT * FROM reports ORDER BY day"));
    if (pathname === "/payments") return Response.json(await db.query("SELECT * FROM payments ORDER BY order_id"));
    const id = pathname.match(/^\/orders\/([^/]+)$/)?.[1];
    const order = id && (await db.first(sql`SELECT * FROM orders WHERE id = ${id}`));
    return order ? Response.json(order) : new Response("the order does not exist\n", { status: 404 });
  },

  // An event may be delivered twice: the key makes one job of it.
  async event(event) {
    await jobs.enqueue("fulfil", event.data, { key: event.data.id });
  },

  // What follows a step that fails is done at the next attempt; the steps before it are not done again.
  async job(job) {
    const { id } = job.input;
    const order = await step("load", async () => {
      const { customer, item, total } = await db.first(sql`SELECT * FROM orders WHERE id = ${id}`);
      return { id, customer, item, total };
    });
    if (order.total > CARD_LIMIT) {
      await db.query(sql`UPDATE orders SET state = 'declined' WHERE id = ${id}`);
      job.reject("the card does not pay so much");
      return;
    }
    // In a transaction, the payment and the record of the step are there together, also if the host dies here.
    const { paid } = await step.transaction("charge", (tx) => charge(tx, order));
    const { parcel } = await step("book parcel", () => bookParcel(order, job.attempt));
    await db.query(sql`UPDATE orders SET state = 'shipped' WHERE id = ${id}`);
    await events.publish("order.shipped", { id, parcel }, { subject: order.customer, key: `shipped ${id}` });
    return { paid, parcel };
  },

  // The same day may be reported twice, since a run may be repeated.
  async scheduled(tick) {
    const day = new Date(tick.scheduledTime).toISOString().slice(0, 10);
    const { shipped, revenue } = await db.first(
      "SELECT count(*) AS shipped, coalesce(sum(total), 0) AS revenue FROM orders WHERE state = 'shipped'",
    );
    await db.query(sql`
      INSERT INTO reports (day, shipped, revenue) VALUES (${day}, ${Number(shipped)}, ${Number(revenue)})
      ON CONFLICT (day) DO UPDATE SET shipped = excluded.shipped, revenue = excluded.revenue`);
    log.info("reported", { day, shipped: Number(shipped) });
  },
};
