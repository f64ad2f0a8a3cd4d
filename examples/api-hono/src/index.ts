// A JSON API: Hono routes, zod checks what comes in, the database keeps it.
import { db, sql } from "elias/db";
import { Hono } from "hono";
import { z } from "zod";

const Note = z.object({ title: z.string().min(1).max(200), text: z.string().max(10_000).default("") });
type Stored = z.infer<typeof Note> & { id: number };

const app = new Hono();

app.get("/notes", async (c) => c.json(await db.query<Stored>("select id, title, text from notes order by id")));

app.get("/notes/:id{[0-9]+}", async (c) => {
  const note = await db.first<Stored>(sql`select id, title, text from notes where id = ${Number(c.req.param("id"))}`);
  return note === undefined ? c.json({ error: "the note does not exist" }, 404) : c.json(note);
});

app.post("/notes", async (c) => {
  const parsed = Note.safeParse(await c.req.json().catch(() => undefined));
  if (!parsed.success) return c.json({ error: "the note is not valid", issues: parsed.error.issues }, 422);
  const { title, text } = parsed.data;
  const note = await db.transaction(async (tx) => {
    const last = await tx.first<{ last: number | null }>("select max(id) as last from notes");
    const id = (last?.last ?? 0) + 1;
    await tx.query(sql`insert into notes (id, title, text) values (${id}, ${title}, ${text})`);
    return { id, title, text };
  }, { isolation: "serializable" });
  return c.json(note, 201);
});

app.delete("/notes/:id{[0-9]+}", async (c) => {
  const { affected } = await db.query(sql`delete from notes where id = ${Number(c.req.param("id"))}`);
  return affected === 0 ? c.json({ error: "the note does not exist" }, 404) : c.body(null, 204);
});

// The routes' tables are built at the first request: asked here, during the build, every instance has them.
await app.request("/");

export default app;
