// The module `elias/events`: events for all who subscribe to their types.
import native from "elias:native";
import { jsonOf, optionalMilliseconds, optionalText } from "./arguments.js";

export const events = {
  /** Publishes an event; returns its id once it can no longer be lost. */
  async publish(type, data = null, options = undefined) {
    const { subject, key, delay } = options ?? {};
    const json = jsonOf(data, "the data of an event");
    return native.eventsPublish(`${type}`, json, optionalText(subject), optionalText(key), optionalMilliseconds(delay, "a delay"));
  },
};
