// elias/kysely: Kysely over the capability db, with transactions. It is bundled with the kysely that the project
// installs.
import { db } from "elias/db";
import {
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  Transaction,
} from "kysely";

const ISOLATION = new Set(["read-committed", "repeatable-read", "serializable"]);

/** The key by which `elias/jobs`, `elias/events` and `step.transaction` take part in a transaction. */
const TRANSACTION = Symbol.for("elias.transaction");

/**
 * Gives Kysely's transactions that key. Kysely makes them itself and does not tell the driver which one a connection is
 * for; so a transaction asks for its connection, which comes once its statements so far are done: a promise.
 */
function identifyTransactions() {
  Object.defineProperty(Transaction.prototype, TRANSACTION, {
    configurable: true,
    get() {
      return this.getExecutor().provideConnection(async (connection) => connection[TRANSACTION]);
    },
  });
}

/** A connection of Kysely's: statements each on its own, or those of a transaction that is open. */
class Connection {
  #open;
  #over;

  /** The number of the transaction that is open. */
  get [TRANSACTION]() {
    return this.#open?.tx[TRANSACTION];
  }

  async executeQuery({ sql, parameters }) {
    const rows = await (this.#open?.tx ?? db).query(sql, ...parameters);
    const changes = rows.affected === undefined ? undefined : BigInt(rows.affected);
    return { rows: [...rows], numAffectedRows: changes, numChangedRows: changes };
  }

  async *streamQuery({ sql, parameters }, size = 100) {
    let rows = [];
    for await (const row of (this.#open?.tx ?? db).stream(sql, ...parameters)) {
      if (rows.push(row) >= size) {
        yield { rows };
        rows = [];
      }
    }
    if (rows.length > 0) yield { rows };
  }

  /** `db.transaction` ends with its function, and Kysely's with a call: the function waits for that call. */
  async begin(settings) {
    const isolation = settings?.isolationLevel?.replaceAll(" ", "-");
    if (isolation !== undefined && !ISOLATION.has(isolation)) {
      const levels = '"read committed", "repeatable read" or "serializable"';
      throw new TypeError(`the isolation level "${settings.isolationLevel}" does not exist; use ${levels}`);
    }
    const begun = Promise.withResolvers();
    const ended = Promise.withResolvers();
    this.#over = db.transaction(
      (tx) => {
        begun.resolve({ tx, end: ended });
        return ended.promise;
      },
      { isolation, readOnly: settings?.accessMode === "read only" },
    );
    this.#over.catch(begun.reject);
    this.#open = await begun.promise;
  }

  async commit() {
    this.#open.end.resolve();
    this.#open = undefined;
    await this.#over;
  }

  async rollback() {
    const undone = new Error("rolled back");
    this.#open.end.reject(undone);
    this.#open = undefined;
    await this.#over.catch((error) => {
      if (error !== undone) throw error;
    });
  }
}

class Driver {
  async init() {}
  async destroy() {}
  async releaseConnection() {}
  acquireConnection = async () => new Connection();
  beginTransaction = (connection, settings) => connection.begin(settings);
  commitTransaction = (connection) => connection.commit();
  rollbackTransaction = (connection) => connection.rollback();
}

function createDriver() {
  identifyTransactions();
  return new Driver();
}

/** The parameters of elias/db have numbers. */
class NumberedSqliteQueryCompiler extends SqliteQueryCompiler {
  getCurrentParameterPlaceholder() {
    return `$${this.numParameters}`;
  }
}

/** Kysely's dialect for SQLite. */
export class SqliteDialect {
  createAdapter = () => new SqliteAdapter();
  createDriver = createDriver;
  createIntrospector = (kysely) => new SqliteIntrospector(kysely);
  createQueryCompiler = () => new NumberedSqliteQueryCompiler();
}

/** Kysely's dialect for PostgreSQL. */
export class PostgresDialect {
  createAdapter = () => new PostgresAdapter();
  createDriver = createDriver;
  createIntrospector = (kysely) => new PostgresIntrospector(kysely);
  createQueryCompiler = () => new PostgresQueryCompiler();
}
