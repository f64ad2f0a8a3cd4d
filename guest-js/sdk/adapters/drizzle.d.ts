// elias/drizzle: Drizzle over the capability db.
import type { DrizzleConfig } from "drizzle-orm";
import type { PgRemoteDatabase } from "drizzle-orm/pg-proxy";
import type { SqliteRemoteDatabase } from "drizzle-orm/sqlite-proxy";

/**
 * Creates a Drizzle database over the capability db, for tables of `drizzle-orm/sqlite-core`. Its transactions are those of `db`;
 * nested transactions are savepoints.
 *
 *     const orm = sqlite({ schema });
 *     await orm.transaction(async (tx) => { await tx.insert(users).values({ name: "Ada" }); });
 */
export function sqlite<Schema extends Record<string, unknown> = Record<string, never>>(config?: DrizzleConfig<Schema>): SqliteRemoteDatabase<Schema>;

/** The same for tables of `drizzle-orm/pg-core`; transactions accept `isolationLevel` and `accessMode`. */
export function postgres<Schema extends Record<string, unknown> = Record<string, never>>(config?: DrizzleConfig<Schema>): PgRemoteDatabase<Schema>;
