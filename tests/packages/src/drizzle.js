import { eq, gt, sql } from "drizzle-orm";
import { integer, QueryBuilder, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { drizzle } from "drizzle-orm/sqlite-proxy";

const users = sqliteTable("users", { id: integer("id").primaryKey(), name: text("name").notNull(), age: integer("age") });

export default {
  async fetch(request) {
    const calls = [];
    const db = drizzle(async (text, parameters, method) => {
      calls.push([text, parameters, method]);
      return { rows: [[1, "Ada", 36]] };
    });
    const query = new QueryBuilder().select({ name: users.name, n: sql`count(*)`.as("n") }).from(users).where(gt(users.age, 18)).groupBy(users.name);
    return Response.json({ query: query.toSQL(), rows: await db.select().from(users).where(eq(users.name, "Ada")), calls });
  },
};
