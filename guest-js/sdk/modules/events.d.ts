// elias/events: events for all who subscribe to their types.

/** An event that could not be published. */
export interface EventsError extends Error {
  /** The reason, as a stable name; `docs/reference/capabilities/events.md` lists them. */
  readonly code: "invalid" | "too-large" | "quota-exceeded" | "conflict" | "unavailable";
}

/** An event: a CloudEvent 1.0. https://cloudevents.io */
export interface CloudEvent<Data = any> {
  readonly specversion: "1.0";
  /** Identifies the event within its source; the same in every delivery. */
  readonly id: string;
  /** The type, such as "order.paid". */
  readonly type: string;
  /** The publisher: a component, or the platform. */
  readonly source: string;
  /** The subject of the event, if it was published with a subject. */
  readonly subject?: string;
  /** When it was published, as an RFC 3339 timestamp. */
  readonly time?: string;
  readonly datacontenttype?: string;
  readonly data: Data;
}

/** The options of an event. */
export interface PublishOptions {
  /** The subject of the event, such as the number of an order. Events of one subject can be delivered in order. */
  subject?: string;
  /** An idempotency key: a second event with it is not published, and the id of the first one is returned. */
  key?: string;
  /** Milliseconds until the event is published. Default: 0. */
  delay?: number;
  /**
   * An open transaction of `elias/db`, of Drizzle by `elias/drizzle`, or of Kysely by `elias/kysely`: the event is
   * published exactly once if the transaction commits, and never if it is rolled back. Its `key` is looked at after the
   * commit: a second event with it is dropped.
   */
  tx?: object;
}

/**
 * The event log of the component's tenant. Components subscribe with `[[triggers.event]]` of elias.toml.
 *
 *     await events.publish("order.paid", { order, total }, { subject: order });
 */
export interface Events {
  /**
   * Publishes an event, and returns its id once the event survives a crash of the host.
   *
   * @param type Parts of letters, digits, `-` and `_`, separated by dots.
   * @param data A value that JSON.stringify accepts. Default: null.
   */
  publish(type: string, data?: unknown, options?: PublishOptions): Promise<string>;
}

export const events: Events;
