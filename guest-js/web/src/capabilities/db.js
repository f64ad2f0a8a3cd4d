// The module `elias/db`: statements with parameters, transactions, streams of rows.
import native from "elias:native";

const [NULL, BOOLEAN, INTEGER, FLOAT, TEXT, BYTES, JSON_TEXT, TIMESTAMP] = [0, 1, 2, 3, 4, 5, 6, 7];

/** A kind and a value for each parameter, in turn. */
function parametersOf(values) {
  const flat = [];
  for (const value of values) {
    if (value === null || value === undefined) flat.push(NULL, null);
    else if (typeof value === "boolean") flat.push(BOOLEAN, value);
    else if (typeof value === "number") flat.push(Number.isSafeInteger(value) ? INTEGER : FLOAT, value);
    else if (typeof value === "bigint") flat.push(INTEGER, value);
    else if (typeof value === "string") flat.push(TEXT, value);
    else if (value instanceof ArrayBuffer) flat.push(BYTES, new Uint8Array(value));
    else if (ArrayBuffer.isView(value)) flat.push(BYTES, new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    else if (value instanceof Date) flat.push(TIMESTAMP, value.getTime());
    else if (typeof value === "object") flat.push(JSON_TEXT, JSON.stringify(value));
    else throw new TypeError(`a ${typeof value} cannot be a parameter of a statement`);
  }
  return flat;
}

function toObjects(columns, rows) {
  return rows.map((values) => {
    const row = {};
    for (let at = 0; at < columns.length; at++) row[columns[at]] = values[at];
    return row;
  });
}

/** What a statement gave: an array of its rows, with `columns` and `affected`. */
class Rows extends Array {
  static get [Symbol.species]() {
    return Array;
  }
}

async function all(query, asArrays) {
  const result = new Rows();
  for (;;) {
    const batch = await native.dbNext(query);
    for (const row of asArrays ? batch.rows : toObjects(batch.columns, batch.rows)) result.push(row);
    if (!batch.last) continue;
    Object.defineProperty(result, "columns", { value: batch.columns });
    Object.defineProperty(result, "affected", { value: batch.affected });
    return result;
  }
}

async function* each(query) {
  let open = true;
  try {
    while (open) {
      const batch = await native.dbNext(query);
      open = !batch.last;
      yield* toObjects(batch.columns, batch.rows);
    }
  } finally {
    if (open) native.dbCancel(query);
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
  const start = (statement, values) => {
    if (statement instanceof Statement) [statement, values] = [statement.text, statement.values];
    else if (Array.isArray(statement?.raw)) ({ text: statement, values } = sql(statement, ...values));
    else if (typeof statement !== "string") throw new TypeError("a statement is a string, or made with the tag sql");
    return native.dbExecute(transaction, statement, parametersOf(values));
  };
  return {
    /** Runs a statement; gives its rows as objects. */
    query: async (statement, ...values) => all(start(statement, values), false),
    /** The same with rows as arrays. */
    values: async (statement, ...values) => all(start(statement, values), true),
    /** The first row, or undefined. */
    first: async (statement, ...values) => (await all(start(statement, values), false))[0],
    /** The rows one by one, as they come: for results that are too large to hold. */
    stream: (statement, ...values) => each(start(statement, values)),
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
