import { app, describe, expect, fake, it } from "elias/test";

describe("counting words", () => {
  it("takes a call", async () => {
    expect(await app.call({ text: "to be or not to be" })).toEqual({ to: 2, be: 2, or: 1, not: 1 });
    expect(fake.log.lines).toHaveLength(1);
  });

  it("takes a request", async () => {
    const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ text: "Hello hello" }) };
    expect(await (await app.fetch("/", init)).json()).toEqual({ hello: 2 });
  });

  it("says what is wrong with an input", async () => {
    await expect(app.call({})).rejects.toThrow("text is a string");
  });
});
