import { DummyDriver, Kysely, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler, sql } from "kysely";

export default {
  async fetch(request) {
    const db = new Kysely({
      dialect: {
        createAdapter: () => new SqliteAdapter(),
        createDriver: () => new DummyDriver(),
        createIntrospector: (db) => new SqliteIntrospector(db),
        createQueryCompiler: () => new SqliteQueryCompiler(),
      },
    });
    const select = db.selectFrom("person as p").innerJoin("pet", "pet.owner", "p.id").select(["p.id", sql`upper(pet.name)`.as("pet")]).where("p.age", ">", 18).orderBy("p.id").limit(10);
    return Response.json({ select: select.compile().sql, parameters: select.compile().parameters, insert: db.insertInto("person").values({ name: "x", age: 1 }).returning("id").compile().sql, rows: await select.execute() });
  },
};
