import { app, describe, expect, it } from "elias/test";

const post = (body) =>
  app.fetch("/notes", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

// The database is a real one, with the migrations, and empty when a test begins.
describe("notes", () => {
  it("are kept", async () => {
    const made = await post({ text: "buy milk" });
    expect(made.status).toBe(201);
    const note = await made.json();
    expect(await (await app.fetch(`/notes/${note.id}`)).json()).toMatchObject({ text: "buy milk" });
  });

  it("are none at first", async () => {
    expect(await (await app.fetch("/notes")).json()).toEqual([]);
  });

  it("need a text", async () => {
    expect((await post({ text: "" })).status).toBe(422);
  });
});
