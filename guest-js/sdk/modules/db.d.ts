// elias/db: a relational database.

/** The value of a column: a bigint for integers beyond 2^53, text for numeric and uuid, a Date for timestamps. */
export type Value = null | boolean | number | bigint | string | Uint8Array | Date | unknown;

/** A parameter of a statement. Other objects are sent as JSON. */
export type Parameter = null | undefined | boolean | number | bigint | string | ArrayBuffer | ArrayBufferView | Date | object;

/** A failed statement. */
export interface DatabaseError extends Error {
  /** The reason, as a stable name; `docs/reference/capabilities/db.md` lists them. */
  readonly code: "database" | "timeout" | "too-large" | "denied" | "unsupported-type" | "transaction-over" | "unavailable";
  /** For `database`: the SQLSTATE, five characters, such as 23505 for a violation of a unique constraint. */
  readonly sqlstate?: string;
}

/** A statement and its parameters. */
export interface Statement {
  /** The SQL, with `$1`, `$2`, ... for the parameters. */
  readonly text: string;
  readonly values: readonly Parameter[];
}

/** The rows of a result. */
export interface Rows<Row> extends Array<Row> {
  /** The columns' names. */
  readonly columns: readonly string[];
  /** The number of rows that were inserted, updated or deleted. */
  readonly affected: number;
}

/** Methods that run a statement: SQL with `$1`, `$2`, ... and the parameters, or the result of the tag `sql`. */
export interface Runner {
  /** Returns the rows as objects. */
  query<Row = Record<string, Value>>(statement: string | Statement, ...values: Parameter[]): Promise<Rows<Row>>;
  query<Row = Record<string, Value>>(statement: TemplateStringsArray, ...values: Parameter[]): Promise<Rows<Row>>;
  /** Returns the rows as arrays. */
  values<Row = Value[]>(statement: string | Statement, ...values: Parameter[]): Promise<Rows<Row>>;
  /** Returns the first row as an object, or undefined. */
  first<Row = Record<string, Value>>(statement: string | Statement, ...values: Parameter[]): Promise<Row | undefined>;
  /** Yields the rows one by one, as the database returns them. */
  stream<Row = Record<string, Value>>(statement: string | Statement, ...values: Parameter[]): AsyncGenerator<Row, void, void>;
}

/** Runs statements in one transaction. */
export interface Transaction extends Runner {
  /** Runs `work` in a savepoint: its changes are rolled back if it throws. */
  savepoint<T>(work: (tx: Transaction) => T | Promise<T>): Promise<T>;
}

/** The options of a transaction. */
export interface TransactionOptions {
  /** The isolation level. Default: "read-committed". SQLite is always serializable. */
  isolation?: "read-committed" | "repeatable-read" | "serializable";
  /** Whether writes fail. Default: false. */
  readOnly?: boolean;
}

/**
 * A relational database: the host's SQLite, or PostgreSQL.
 *
 *     const rows = await db.query(sql`select name from users where id = ${id}`);
 */
export interface Database extends Runner {
  /** Runs `work` in a transaction, which is committed when it returns, and rolled back when it throws. */
  transaction<T>(work: (tx: Transaction) => T | Promise<T>, options?: TransactionOptions): Promise<T>;
  /** The tag `sql`. */
  sql: typeof sql;
}

/** Creates a statement from a template: every value becomes a parameter, and a nested statement is inserted as it is. */
export function sql(strings: TemplateStringsArray, ...values: Parameter[]): Statement;

export const db: Database;
