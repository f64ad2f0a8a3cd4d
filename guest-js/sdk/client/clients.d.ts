/** The worker's end of `elias/client`. */

/** The subprotocol. */
export const PROTOCOL: "elias.1";

/** A client whose call or message is being handled. */
export interface ClientInfo {
  /** Identifies the client, also when it comes back. */
  readonly session: string;
  /** What `authenticate` gave. */
  readonly user: any;
}

export interface ClientMembers {
  /** The client whose call or message is being handled. */
  client: ClientInfo | undefined;
  /** Who a client is, by its credentials. Throws to refuse it; without an own one everyone is let in. */
  authenticate(credentials: any): unknown;
  /** Sends a value to all clients that have subscribed to a topic, those among them that come back. */
  publish(topic: string, value: unknown): void;
}

export interface ClientStatics {
  /** The names of the methods that clients may call; none by default. */
  methods: string[];
  /** The topics that clients may subscribe to; none by default. */
  topics: string[];
  /** Sessions at most: 1,000. */
  sessions: number;
  /** Messages that wait for a client at most: 1,000. */
  waiting: number;
  /** Their characters: 1,048,576. */
  waitingCharacters: number;
  /** For how long a session waits for its client to come back, in milliseconds: 300,000. */
  sessionMs: number;
}

/** A class of workers that take clients, on top of `worker.Worker` or a class that extends it. */
export function clientsOf<Base extends abstract new (...args: any[]) => object>(
  base: Base,
): Base & ClientStatics & (new (...args: any[]) => ClientMembers);
