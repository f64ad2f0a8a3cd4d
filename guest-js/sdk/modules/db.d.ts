/** What a column can hold; bigint for integers beyond 2^53, text for numeric and uuid, Date for timestamps. */
export type Value = null | boolean | number | bigint | string | Uint8Array | Date | unknown;

/** What can be a parameter. Other objects are sent as JSON. */
export type Parameter = null | undefined | boolean | number | bigint | string | ArrayBuffer | ArrayBufferView | Date | object;

/** A failed statement. */
export interface DatabaseError extends Error {
  /** Why, as a name that stays the same; `docs/reference/capabilities/db.md` lists them. */
  readonly code: "database" | "timeout" | "too-large" | "denied" | "unsupported-type" | "transaction-over" | "unavailable";
  /** For `database`: the five characters of the SQL standard, such as 23505 for a value that is there already. */
  readonly sqlstate?: string;
}

/** A statement and its parameters. */
export interface Statement {
  readonly text: string;
  readonly values: readonly Parameter[];
}

/** The rows of a result. */
export interface Rows<Row> extends Array<Row> {
  /** The columns' names. */
  readonly columns: readonly string[];
  /** How many rows were inserted, updated or deleted. */
  readonly affected: number;
}

/** Ways to run a statement: text with `$1`, `$2`, ... and the values, or what the tag `sql` made. */
export interface Runner {
  /** The rows as objects. */
  query<Row = Record<string, Value>>(statement: string | Statement, ...values: Parameter[]): Promise<Rows<Row>>;
  query<Row = Record<string, Value>>(statement: TemplateStringsArray, ...values: Parameter[]): Promise<Rows<Row>>;
  /** The rows as arrays. */
  values<Row = Value[]>(statement: string | Statement, ...values: Parameter[]): Promise<Rows<Row>>;
  /** The first row, or undefined. */
  first<Row = Record<string, Value>>(statement: string | Statement, ...values: Parameter[]): Promise<Row | undefined>;
  /** The rows one by one, as the database gives them. */
  stream<Row = Record<string, Value>>(statement: string | Statement, ...values: Parameter[]): AsyncGenerator<Row, void, void>;
}

/** Runs statements in one transaction. */
export interface Transaction extends Runner {
  /** Runs `work` in a savepoint: what it did is undone if it throws. */
  savepoint<T>(work: (tx: Transaction) => T | Promise<T>): Promise<T>;
}

export interface TransactionOptions {
  /** Default: "read-committed". SQLite always serialises. */
  isolation?: "read-committed" | "repeatable-read" | "serializable";
  /** Refuses writes. Default: false. */
  readOnly?: boolean;
}

/**
 * A relational database: SQLite beside the host, or PostgreSQL.
 *
 *     const rows = await db.query(sql`select name from users where id = ${id}`);
 */
export interface Database extends Runner {
  /** Runs `work` in a transaction: committed when it returns, rolled back when it throws. */
  transaction<T>(work: (tx: Transaction) => T | Promise<T>, options?: TransactionOptions): Promise<T>;
  sql: typeof sql;
}

/** Makes a statement of a template: every value becomes a parameter, a statement within is put in place. */
export function sql(strings: TemplateStringsArray, ...values: Parameter[]): Statement;

export const db: Database;
