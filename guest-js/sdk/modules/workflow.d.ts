// elias/workflow: steps of a job, of the delivery of an event, or of a turn of a service worker, that are done once
// although the handler may run several times.
import type { Transaction } from "./db.js";
import type { CloudEvent } from "./events.js";

/** A failure of the journal. */
export interface WorkflowError extends Error {
  /** The reason, as a stable name; `docs/reference/capabilities/workflow.md` lists them. */
  readonly code: "not-in-a-job" | "nondeterministic-step" | "invalid" | "too-large" | "quota-exceeded" | "unavailable";
}

/** The options of a step. */
export interface StepOptions {
  /**
   * The input of the step: a value that JSON.stringify accepts. If it is another one when the handler runs again, the
   * step fails with the code `nondeterministic-step`.
   */
  input?: unknown;
}

/** The options of a wait. */
export interface WaitOptions {
  /** The step's name. Default: the event's type. */
  name?: string;
  /** Conditions on the event by path, as `where` of `[[triggers.event]]` in elias.toml. */
  where?: Readonly<Record<string, unknown>>;
  /** In milliseconds. Default: none. */
  timeout?: number;
}

/** What begins transactions over `elias/db`: Drizzle of `elias/drizzle`, or Kysely with a dialect of `elias/kysely`. */
export type TransactionSource<Tx> =
  | { transaction(work: (tx: Tx) => Promise<any>): Promise<any> }
  | { transaction(): { execute(work: (tx: Tx) => Promise<any>): Promise<any> } };

/**
 * Durable steps, in the handlers `job` and `event`, and without sleeps and waits in those of service workers. After a
 * crash, a retry or a wait the handler runs again from its beginning; steps that were done return their recorded
 * results. The handler must call the same steps in the same order.
 *
 *     const charge = await step("charge", async () => (await http.post(url, order)).json());
 *     await step.transaction("store", (tx) => tx.query(sql`insert into charges (id) values (${charge.id})`));
 *     await step.sleep("a day", 86_400_000);
 *     const paid = await step.waitFor("order.paid", { where: { subject: order.id }, timeout: 3_600_000 });
 */
export interface Step {
  /**
   * Does `work` once and returns its result: a copy, made by JSON. A result that JSON would change, such as a Map or a
   * Response, is a TypeError.
   *
   * If `work` throws and the handler goes on to another step, the error is recorded, and thrown again with the same
   * name, message and code whenever the handler runs again. If the error leaves the handler, the next attempt does the
   * step again.
   *
   * @param name Several steps may have the same name.
   */
  <Result>(name: string, work: () => Result | Promise<Result>, options?: StepOptions): Promise<Result>;
  /**
   * Does `work` in a transaction of `elias/db` and returns its result, a copy. The result is written into the table
   * `elias_steps` of the component's database in the same transaction, so what `work` does in that transaction is done
   * exactly once, also if the host dies before the journal has the step. If `work` throws, the transaction is rolled
   * back; its error is recorded as that of other steps.
   *
   * Jobs and events of `work` are a part of it by their option `tx`. The transaction is read-committed. No step may be
   * begun within `work`.
   *
   * @param name Several steps may have the same name.
   */
  transaction<Result>(name: string, work: (tx: Transaction) => Result | Promise<Result>, options?: StepOptions): Promise<Result>;
  /**
   * The same in a transaction of Drizzle by `elias/drizzle`, or of Kysely by `elias/kysely`:
   *
   *     await step.transaction("store", (tx) => tx.insert(charges).values({ id: charge.id }), { db: orm });
   */
  transaction<Tx, Result>(
    name: string,
    work: (tx: Tx) => Result | Promise<Result>,
    options: StepOptions & { db: TransactionSource<Tx> },
  ): Promise<Result>;
  /** Waits for so many milliseconds, from the first time that the step is reached. Meanwhile there is no instance. */
  sleep(name: string, milliseconds: number): Promise<void>;
  /**
   * Waits for the first event of a type, or of a pattern (`*` for one part, `**` for all), that is published after the
   * step is first reached. Returns undefined after the timeout. Meanwhile there is no instance.
   */
  waitFor<Data = any>(type: string, options?: WaitOptions): Promise<CloudEvent<Data> | undefined>;
}

export const step: Step;
