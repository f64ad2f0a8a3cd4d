// Endpoints with a handler each; together they are the component.
import { ELIAS, HttpError, db } from "elias";

interface Note {
  id: string;
  text: string;
}

function noteOf(body: unknown): { text: string } {
  const text = (body as { text?: unknown } | null)?.text;
  if (typeof text !== "string" || text === "") throw new TypeError("text is a string that is not empty");
  return { text };
}

ELIAS.createAPI({
  endpoint: "GET /notes",
  handler: () => db.query<Note>("SELECT id, text FROM notes ORDER BY id"),
});

ELIAS.createAPI({
  endpoint: "GET /notes/:id",
  async handler({ params }) {
    const note = await db.first<Note>("SELECT id, text FROM notes WHERE id = $1", params.id);
    if (note === undefined) throw new HttpError(404, `there is no note ${params.id}`, { code: "no-note" });
    return note;
  },
});

ELIAS.createAPI({
  endpoint: "POST /notes",
  body: noteOf,
  async handler({ body }) {
    const note = { id: crypto.randomUUID(), text: body.text };
    await db.query("INSERT INTO notes (id, text) VALUES ($1, $2)", note.id, note.text);
    return Response.json(note, { status: 201 });
  },
});
