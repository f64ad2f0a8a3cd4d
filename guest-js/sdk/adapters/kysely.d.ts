// elias/kysely: Kysely over the capability db.
import type { DatabaseIntrospector, Dialect, DialectAdapter, Driver, Kysely, QueryCompiler } from "kysely";

declare class EliasDialect implements Dialect {
  createAdapter(): DialectAdapter;
  createDriver(): Driver;
  createIntrospector(kysely: Kysely<any>): DatabaseIntrospector;
  createQueryCompiler(): QueryCompiler;
}

/**
 * The dialect of Kysely over the capability db on SQLite, with transactions.
 *
 *     const kysely = new Kysely<Tables>({ dialect: new SqliteDialect() });
 *     await kysely.transaction().execute(async (tx) => { await tx.insertInto("users").values({ name: "Ada" }).execute(); });
 */
export class SqliteDialect extends EliasDialect {}

/** The same on PostgreSQL; transactions accept the isolation level and access mode. */
export class PostgresDialect extends EliasDialect {}
