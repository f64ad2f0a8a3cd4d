// The module `elias/db`: statements with parameters, transactions, streams of rows.
import native from "elias:native";

/** Collects all rows of a statement that is under way: an array with `columns` and `affected`. */
async function collectRows(query, asArrays) {
  const first = await native.dbNext(query, asArrays);
  if (first.last) return first.rows;
  for (const rows = first.rows; ; ) {
    const { rows: more, last } = await native.dbNext(query, asArrays);
    for (const row of more) rows.push(row);
    if (!last) continue;
    Object.defineProperty(rows, "affected", { value: more.affected });
    return rows;
  }
}

/** Whether a statement that was started is complete: then `started` is its rows, else the number of the query. */
const isComplete = (started) => typeof started === "object";

/** Yields the rows of a statement that was started; cancels it if the caller stops early. */
async function* streamRows(started) {
  if (isComplete(started)) return yield* started;
  let open = true;
  try {
    while (open) {
      const { rows, last } = await native.dbNext(started, false);
      open = !last;
      yield* rows;
    }
  } finally {
    if (open) native.dbCancel(started);
  }
}

/** A statement and its parameters: the result of the tag `sql`. */
class Statement {
  constructor(text, values) {
    this.text = text;
    this.values = values;
  }
}

/** sql`select * from t where id = ${id}`: every value becomes a parameter; a nested statement is inserted as it is. */
export function sql(strings, ...values) {
  if (!Array.isArray(strings?.raw)) throw new TypeError("sql is a template tag: sql`select ...`");
  const parameters = [];
  let text = strings[0];
  values.forEach((value, at) => {
    if (value instanceof Statement) {
      text += value.text.replace(/\$(\d+)/g, (_, number) => `$${Number(number) + parameters.length}`);
      parameters.push(...value.values);
    } else {
      parameters.push(value);
      text += `$${parameters.length}`;
    }
    text += strings[at + 1];
  });
  return new Statement(text, parameters);
}

/** The methods that run statements, in the transaction `transaction`, or each in one of its own (0). */
function statementMethods(transaction) {
  const start = (statement, values, asArrays) => {
    if (typeof statement !== "string") {
      if (Array.isArray(statement?.raw)) statement = sql(statement, ...values);
      if (!(statement instanceof Statement)) {
        throw new TypeError("a statement is a string, or made with the tag sql");
      }
      ({ text: statement, values } = statement);
    }
    return native.dbExecute(transaction, statement, values, asArrays);
  };
  return {
    /** Runs a statement; returns its rows as objects. */
    async query(statement, ...values) {
      const started = start(statement, values, false);
      return isComplete(started) ? started : collectRows(started, false);
    },
    /** The same with rows as arrays. */
    async values(statement, ...values) {
      const started = start(statement, values, true);
      return isComplete(started) ? started : collectRows(started, true);
    },
    /** The first row, or undefined. */
    async first(statement, ...values) {
      const started = start(statement, values, false);
      return (isComplete(started) ? started : await collectRows(started, false))[0];
    },
    /** The rows one by one, as they come: for results that are too large to hold. */
    stream: (statement, ...values) => streamRows(start(statement, values, false)),
  };
}

/** The key of a transaction's number in the engine, by which `elias/jobs` and `elias/events` take part in it. */
const TRANSACTION = Symbol.for("elias.transaction");

/** Waits for a statement that controls a transaction. */
const finish = (query) => collectRows(query, true);

function createTransaction(id) {
  let savepoints = 0;
  const tx = {
    ...statementMethods(id),
    [TRANSACTION]: id,
    /** Runs `work` in a savepoint: its changes are rolled back if it throws. */
    async savepoint(work) {
      const name = ++savepoints;
      await finish(native.dbControl(id, "savepoint", name));
      let result;
      try {
        result = await work(tx);
      } catch (error) {
        await finish(native.dbControl(id, "rollback-to", name));
        throw error;
      }
      await finish(native.dbControl(id, "release", name));
      return result;
    },
  };
  return tx;
}

export const db = {
  ...statementMethods(0),
  sql,
  /**
   * Runs `work` in a transaction: committed when it returns, rolled back when it throws. `options.isolation` is
   * "read-committed", "repeatable-read" or "serializable"; `options.readOnly` refuses writes.
   */
  async transaction(work, options = undefined) {
    const id = native.dbBegin(options?.isolation ?? "read-committed", options?.readOnly ?? false);
    try {
      let result;
      try {
        result = await work(createTransaction(id));
      } catch (error) {
        try {
          await finish(native.dbControl(id, "rollback", 0));
        } catch {
          // The connection is gone, and the transaction with it. Why `work` failed is the error to report.
        }
        throw error;
      }
      await finish(native.dbControl(id, "commit", 0));
      return result;
    } finally {
      native.dbEnd(id);
    }
  },
};
