// elias/drizzle: Drizzle over the capability db, with transactions. It is bundled with the drizzle-orm that the project
// installs.
import { db } from "elias/db";
import { TransactionRollbackError } from "drizzle-orm";
import { drizzle as overPostgres } from "drizzle-orm/pg-proxy";
import { drizzle as overSqlite } from "drizzle-orm/sqlite-proxy";

/** The key by which `elias/jobs` and `elias/events` take part in a transaction. */
const TRANSACTION = Symbol.for("elias.transaction");

/** Lets `orm` run its transactions in those of `runner`, and theirs in savepoints. */
function withTransactions(orm, runner, within, options) {
  if (runner[TRANSACTION] !== undefined) orm[TRANSACTION] = runner[TRANSACTION];
  orm.transaction = (work, config) => {
    const inner = (tx) => {
      const inside = within(tx);
      inside.rollback = () => {
        throw new TransactionRollbackError();
      };
      return work(inside);
    };
    return runner.savepoint === undefined ? runner.transaction(inner, options(config)) : runner.savepoint(inner);
  };
  return orm;
}

/** Drizzle for tables of `drizzle-orm/sqlite-core`. */
export function sqlite(config = {}) {
  const over = (runner) => {
    const run = async (statement, parameters, method) => {
      if (method === "run") {
        const { affected } = await runner.values(statement, ...parameters);
        return { rows: [], affected, rowsAffected: affected };
      }
      const rows = await runner.values(statement, ...parameters);
      return { rows: method === "get" ? rows[0] : rows };
    };
    // All or nothing, as a batch is.
    const batch = (queries) =>
      (runner.savepoint ?? runner.transaction)(async (tx) => {
        const results = [];
        for (const { sql, params, method } of queries) {
          const rows = await tx.values(sql, ...params);
          results.push({ rows: method === "get" ? rows[0] : rows });
        }
        return results;
      });
    const orm = overSqlite(run, batch, config);
    // The parameters of elias/db have numbers.
    orm.dialect.escapeParam = (index) => `$${index + 1}`;
    return withTransactions(orm, runner, over, () => undefined);
  };
  return over(db);
}

/** Drizzle for tables of `drizzle-orm/pg-core`. */
export function postgres(config = {}) {
  const over = (runner) => {
    const run = async (statement, parameters, method, typings) => {
      const values = parameters.map((value, at) => toDatabase(value, typings?.[at]));
      if (method === "execute") return { rows: await runner.query(statement, ...values) };
      const rows = await runner.values(statement, ...values);
      return { rows: rows.map((row) => row.map(fromDatabase)) };
    };
    return withTransactions(overPostgres(run, config), runner, over, ({ isolationLevel, accessMode } = {}) => ({
      isolation: isolationLevel?.replaceAll(" ", "-"),
      readOnly: accessMode === "read only",
    }));
  };
  return over(db);
}

/** Drizzle writes timestamps and JSON as text, and says so. */
function toDatabase(value, typing) {
  if (typeof value !== "string") return value;
  if (typing === "timestamp") return new Date(value);
  if (typing === "json") return JSON.parse(value);
  return value;
}

/** Drizzle reads timestamps as PostgreSQL writes them. */
function fromDatabase(value) {
  return value instanceof Date ? value.toISOString().slice(0, -1).replace("T", " ") : value;
}
