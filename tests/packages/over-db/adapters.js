// elias/drizzle and elias/kysely over the capability db, on either of its backends: what `dialect` says, which the config has.
import { eq } from "drizzle-orm";
import * as pg from "drizzle-orm/pg-core";
import * as lite from "drizzle-orm/sqlite-core";
import { config, db, jobs } from "elias";
import { postgres, sqlite } from "elias/drizzle";
import { PostgresDialect, SqliteDialect } from "elias/kysely";
import { Kysely } from "kysely";

const pgUsers = pg.pgTable("users", {
  id: pg.integer("id").primaryKey(),
  name: pg.text("name").notNull(),
  seen: pg.timestamp("seen", { withTimezone: true }),
  data: pg.jsonb("data"),
});
const liteUsers = lite.sqliteTable("users", {
  id: lite.integer("id").primaryKey(),
  name: lite.text("name").notNull(),
  seen: lite.integer("seen", { mode: "timestamp" }),
  data: lite.text("data", { mode: "json" }),
});
const failed = (work) => work.then(() => "no error", (error) => error.message);
const dig = (error) => error.cause?.code ?? error.code;

export default {
  async fetch() {
    const onPostgres = config.dialect === "postgres";
    const users = onPostgres ? pgUsers : liteUsers;
    const orm = onPostgres ? postgres() : sqlite();
    const kysely = new Kysely({ dialect: onPostgres ? new PostgresDialect() : new SqliteDialect() });
    await db.query(onPostgres
      ? "create table users (id integer primary key, name text not null, seen timestamptz, data jsonb)"
      : "create table users (id integer primary key, name text not null, seen integer, data text)");
    const names = async () => (await orm.select({ name: users.name }).from(users).orderBy(users.id)).map(({ name }) => name).join();

    const seen = new Date("2024-02-29T12:30:00.000Z");
    await orm.insert(users).values([{ id: 1, name: "Ada", seen, data: { a: [1] } }, { id: 2, name: "Grace" }]);
    const [ada] = await orm.select().from(users).where(eq(users.id, 1));
    const drizzle = { ada: [ada.name, ada.seen.toISOString(), ada.data] };
    drizzle.given = await orm.transaction(async (tx) => {
      await tx.insert(users).values({ id: 3, name: "Blaise" });
      return (await tx.select().from(users)).length;
    });
    drizzle.thrown = await failed(orm.transaction(async (tx) => {
      await tx.insert(users).values({ id: 4, name: "Undone" });
      throw new Error("no");
    }));
    drizzle.rolledBack = await failed(orm.transaction(async (tx) => {
      await tx.insert(users).values({ id: 4, name: "Undone" });
      tx.rollback();
    }));
    await orm.transaction(async (tx) => {
      await tx.insert(users).values({ id: 5, name: "Kept" });
      await failed(tx.transaction(async (inner) => {
        await inner.insert(users).values({ id: 6, name: "Undone" });
        throw new Error("no");
      }));
    });
    drizzle.names = await names();
    drizzle.taken = await orm.insert(users).values({ id: 1, name: "Twice" }).then(() => "no error", dig);

    const build = {};
    build.given = await kysely.transaction().execute(async (tx) => {
      await tx.insertInto("users").values({ id: 7, name: "Kurt" }).execute();
      return (await tx.selectFrom("users").select("name").where("id", "=", 7).executeTakeFirstOrThrow()).name;
    });
    build.thrown = await failed(kysely.transaction().execute(async (tx) => {
      await tx.insertInto("users").values({ id: 8, name: "Undone" }).execute();
      throw new Error("no");
    }));
    build.updated = Number((await kysely.updateTable("users").set({ name: "Ada L." }).where("id", "=", 1).executeTakeFirst()).numUpdatedRows);
    build.names = (await kysely.selectFrom("users").select("name").orderBy("id").execute()).map(({ name }) => name).join();
    build.streamed = [];
    for await (const { id } of kysely.selectFrom("users").select("id").orderBy("id").stream(2)) build.streamed.push(id);
    // Connections of transactions are given back.
    for (let at = 0; at < 20; at++) await failed(kysely.transaction().execute(async () => { throw new Error("no"); }));
    build.left = await names();

    // Jobs are parts of the transactions of either.
    await orm.transaction((tx) => jobs.enqueue("add", { id: 20, name: "by Drizzle" }, { tx }));
    await kysely.transaction().execute(async (tx) => {
      await tx.selectFrom("users").select("id").execute();
      await jobs.enqueue("add", { id: 21, name: "by Kysely" }, { tx });
    });
    await failed(kysely.transaction().execute(async (tx) => {
      await jobs.enqueue("add", { id: 22, name: "Undone" }, { tx });
      throw new Error("no");
    }));
    let over;
    await kysely.transaction().execute(async (tx) => { over = tx; });
    build.over = await failed(jobs.enqueue("add", { id: 23, name: "Late" }, { tx: over }));
    build.outside = await failed(jobs.enqueue("add", { id: 23, name: "Late" }, { tx: kysely }));
    const added = () => kysely.selectFrom("users").select("name").where("id", ">=", 20).orderBy("id").execute();
    while ((await added()).length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
    build.jobs = (await added()).map(({ name }) => name);
    return Response.json({ drizzle, build });
  },
  async job({ input: { id, name } }) {
    await db.query("insert into users (id, name) values ($1, $2)", id, name);
  },
};
