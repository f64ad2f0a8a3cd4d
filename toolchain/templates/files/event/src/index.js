// Handles the events that elias.toml subscribes to, and publishes one of its own: docs/reference/triggers.md
import { events } from "elias";

/** @type {import("elias").Component} */
export default {
  async event(event) {
    console.info("an order was paid", { order: event.subject, total: event.data.total });
    await events.publish("receipt.requested", { total: event.data.total }, { subject: event.subject });
  },
};
