// Drizzle over the capability db, in PostgreSQL's dialect, whose parameters are those of elias/db on both of its backends.
import { desc, eq, gt } from "drizzle-orm";
import { integer, pgTable, text } from "drizzle-orm/pg-core";
import { drizzle } from "drizzle-orm/pg-proxy";
import { db } from "elias";

const users = pgTable("users", { id: integer("id").primaryKey(), name: text("name").notNull(), age: integer("age") });
const orm = drizzle(async (statement, parameters) => ({ rows: await db.values(statement, ...parameters) }));

export default {
  async fetch() {
    await db.query("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL, age INTEGER)");
    await orm.insert(users).values([{ id: 1, name: "Ada", age: 36 }, { id: 2, name: "Grace", age: 45 }, { id: 3, name: "Blaise", age: 3 }]);
    await orm.update(users).set({ age: 37 }).where(eq(users.id, 1));
    const grown = await orm.select({ name: users.name, age: users.age }).from(users).where(gt(users.age, 18)).orderBy(desc(users.age));
    await orm.delete(users).where(eq(users.id, 2));
    return Response.json({ grown, left: await orm.select().from(users).orderBy(users.id) });
  },
};
