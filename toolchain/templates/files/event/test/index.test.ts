import { app, describe, expect, it, triggers } from "elias/test";

describe("a paid order", () => {
  it("asks for its receipt", async () => {
    await app.event("order.paid", { total: 5 });
    expect(triggers.events).toMatchObject([{ type: "receipt.requested" }]);
  });
});
