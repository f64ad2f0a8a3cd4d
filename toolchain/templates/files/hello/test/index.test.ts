import { app, describe, expect, it } from "elias/test";
import { escape } from "../src/index.ts";

describe("the page", () => {
  it("greets whoever asks", async () => {
    const response = await app.fetch("/?name=Ada");
    expect(response.status).toBe(200);
    expect(await response.text()).toContain("Hello, Ada!");
  });

  it("takes no HTML from outside", () => {
    expect(escape("<b>")).toBe("&lt;b&gt;");
  });
});
