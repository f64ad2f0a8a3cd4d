// The module `elias/db`: statements with parameters, transactions, streams of rows.
import native from "elias:native";

/** All rows of a statement that is under way: an array with `columns` and `affected`. */
async function all(query, asArrays) {
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

/** A statement was started: these are its rows already, or it is under way. */
const isDone = (started) => typeof started === "object";

async function* each(started) {
  if (isDone(started)) return yield* started;
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

/** A statement and its parameters, as the tag `sql` makes it. */
class Statement {
  constructor(text, values) {
    this.text = text;
    this.values = values;
  }
}

/** sql`select * from t where id = ${id}`: every value becomes a parameter; a statement within a statement is put in place. */
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

/** The ways to run statements, in the transaction of that id, or each in one of its own (0). */
function runner(transaction) {
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
    /** Runs a statement; gives its rows as objects. */
    async query(statement, ...values) {
      const started = start(statement, values, false);
      return isDone(started) ? started : all(started, false);
    },
    /** The same with rows as arrays. */
    async values(statement, ...values) {
      const started = start(statement, values, true);
      return isDone(started) ? started : all(started, true);
    },
    /** The first row, or undefined. */
    async first(statement, ...values) {
      const started = start(statement, values, false);
      return (isDone(started) ? started : await all(started, false))[0];
    },
    /** The rows one by one, as they come: for results that are too large to hold. */
    stream: (statement, ...values) => each(start(statement, values, false)),
  };
}

const done = (query) => all(query, true);

function transactionOf(id) {
  let savepoints = 0;
  const tx = {
    ...runner(id),
    /** Runs `work` in a savepoint: what it did is undone if it throws. */
    async savepoint(work) {
      const name = ++savepoints;
      await done(native.dbControl(id, "savepoint", name));
      let result;
      try {
        result = await work(tx);
      } catch (error) {
        await done(native.dbControl(id, "rollback-to", name));
        throw error;
      }
      await done(native.dbControl(id, "release", name));
      return result;
    },
  };
  return tx;
}

export const db = {
  ...runner(0),
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
        result = await work(transactionOf(id));
      } catch (error) {
        try {
          await done(native.dbControl(id, "rollback", 0));
        } catch {
          // The connection is gone, and the transaction with it. Why `work` failed is the error to report.
        }
        throw error;
      }
      await done(native.dbControl(id, "commit", 0));
      return result;
    } finally {
      native.dbEnd(id);
    }
  },
};
