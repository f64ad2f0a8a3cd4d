// A component with a job, an event and a schedule, for the program that runs it.
import { events, log, step } from "elias";

export default {
  /** Charges an order, once, whatever becomes of this run, and tells all who want to know. */
  async job(job) {
    const total = await step("charge", () => job.input.prices.reduce((sum, price) => sum + price, 0));
    await events.publish("order.paid", { total });
    return { total };
  },
  event(event) {
    log.info("paid", { total: event.data.total });
  },
  scheduled(tick) {
    log.info(`tick of ${tick.name}`);
  },
};
