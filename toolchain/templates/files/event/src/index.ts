// Handles the events that elias.toml subscribes to, and publishes one of its own: docs/reference/triggers.md
import { type Component, events } from "elias";

export default {
  async event(event) {
    console.info("an order was paid", { order: event.subject, total: event.data.total });
    await events.publish("receipt.requested", { total: event.data.total }, { subject: event.subject });
  },
} satisfies Component;
