// The module `elias/events`: events for all who subscribe to their types.
import native from "elias:native";
import { jsonOf, optionalMilliseconds, optionalText, optionalTransaction } from "./arguments.js";

export const events = {
  /**
   * Publishes an event; returns its id once it can no longer be lost. With `tx` it is published if that transaction
   * commits.
   */
  async publish(type, data = null, options = undefined) {
    const { subject, key, delay, tx } = options ?? {};
    const json = jsonOf(data, "the data of an event");
    const milliseconds = optionalMilliseconds(delay, "a delay");
    const transaction = optionalTransaction(tx);
    const id = typeof transaction === "number" ? transaction : await transaction;
    return native.eventsPublish(`${type}`, json, optionalText(subject), optionalText(key), milliseconds, id);
  },
};
