import { clock, describe, expect, it, triggers } from "elias/test";

describe("the schedule", () => {
  it("fires each night at three in Berlin", async () => {
    clock.set("2026-01-10T12:00:00Z");
    await clock.advance("1d");
    expect(triggers.ticks).toMatchObject([{ name: "nightly", scheduledTime: Date.parse("2026-01-11T02:00:00Z") }]);
  });
});
