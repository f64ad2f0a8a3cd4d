import { app, describe, expect, it } from "elias/test";

describe("the routes", () => {
  it("has a page", async () => {
    const response = await app.fetch("/");
    expect(response.headers.get("content-type")).toContain("text/html");
    expect(await response.text()).toContain("Hello from Hono");
  });

  it("gives users by their id", async () => {
    expect(await (await app.fetch("/users/7")).json()).toEqual({ id: "7" });
  });

  it("says what is not there", async () => {
    expect((await app.fetch("/nothing")).status).toBe(404);
  });
});
