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
} from "kysely";

const ISOLATION = new Set(["read-committed", "repeatable-read", "serializable"]);

/** A connection of Kysely's: statements each on its own, or those of a transaction that is open. */
class Connection {
  #open;
  #over;

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

/** The parameters of elias/db have numbers. */
class NumberedSqliteQueryCompiler extends SqliteQueryCompiler {
  getCurrentParameterPlaceholder() {
    return `$${this.numParameters}`;
  }
}

/** Kysely's dialect for SQLite. */
export class SqliteDialect {
  createAdapter = () => new SqliteAdapter();
  createDriver = () => new Driver();
  createIntrospector = (kysely) => new SqliteIntrospector(kysely);
  createQueryCompiler = () => new NumberedSqliteQueryCompiler();
}

/** Kysely's dialect for PostgreSQL. */
export class PostgresDialect {
  createAdapter = () => new PostgresAdapter();
  createDriver = () => new Driver();
  createIntrospector = (kysely) => new PostgresIntrospector(kysely);
  createQueryCompiler = () => new PostgresQueryCompiler();
}
