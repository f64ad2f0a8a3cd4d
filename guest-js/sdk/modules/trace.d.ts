// elias/trace: an author's own spans in the trace of an execution.

/** Spans of the component's own. */
export interface Trace {
  /**
   * Calls a function as a span of the execution's trace. A span that is begun within it, also after an `await`, is a
   * part of it. Where the host does not keep the execution's calls, as in `elias dev`, the function is called alone.
   *
   * @param name The name. Names that are the same for many executions can be compared; what a user sent does not belong
   *   into one. The host keeps 128 bytes of it.
   * @param callback The function. The span ends when it returns, or when the promise that it returns is settled, and
   *   has failed if it throws or the promise is rejected.
   * @returns The result of the function.
   */
  span<Result>(name: string, callback: () => Result): Result;
}

export const trace: Trace;
