// elias/jobs: work that is done later, by the handler `job`.

/** A failed operation on the queue. */
export interface JobsError extends Error {
  /** The reason, as a stable name; `docs/reference/capabilities/jobs.md` lists them. */
  readonly code: "invalid" | "too-large" | "quota-exceeded" | "not-found" | "conflict" | "unavailable";
}

/** When, and in what order, a job runs. */
export interface JobOptions {
  /** Jobs of a higher priority run first. Default: as `[triggers.jobs.NAME]` of elias.toml says, else 0. */
  priority?: number;
  /** The earliest start: a Date, or milliseconds since the Unix epoch. Default: now. */
  runAt?: Date | number;
  /** The earliest start, in milliseconds from now. Excludes `runAt`. */
  delay?: number;
  /** A unique key: while the queue keeps a job with it, no second one is made, and that job's id is returned. */
  key?: string;
  /**
   * Jobs with the same name and concurrency key, such as those of one user, run at a time only as `key-concurrency` of
   * `[triggers.jobs.NAME]` says. Default: none, and no such limit.
   */
  concurrencyKey?: string;
  /** Ids of jobs that must be done first. */
  after?: Iterable<string>;
  /** The component that runs the job. Default: the one that enqueues it. */
  target?: string;
  /**
   * An open transaction of `elias/db`, of Drizzle by `elias/drizzle`, or of Kysely by `elias/kysely`: the job is
   * enqueued exactly once if the transaction commits, and never if it is rolled back. Its `key` is looked at after the
   * commit: a second job with it is dropped.
   */
  tx?: object;
}

/**
 * A durable queue. A job runs once in the handler `job`, and again if that fails, as its retry policy says.
 *
 *     const id = await jobs.enqueue("resize", { image, width: 200 });
 */
export interface Jobs {
  /**
   * Enqueues a job, and returns its id once the job survives a crash of the host.
   *
   * @param name Distinguishes jobs in the handler, and names the table `[triggers.jobs.NAME]` of elias.toml.
   * @param input A value that JSON.stringify accepts. Default: null.
   */
  enqueue(name: string, input?: unknown, options?: JobOptions): Promise<string>;
  /** Cancels a job that waits or runs. Fails with the code `not-found`, or `conflict` if the job is over. */
  cancel(id: string): Promise<void>;
}

export const jobs: Jobs;
