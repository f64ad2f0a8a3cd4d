// Runs at the times that elias.toml has. `elias trigger schedule nightly` runs it now.
import type { Component } from "elias";

export default {
  async scheduled(tick) {
    const day = new Date(tick.scheduledTime).toISOString().slice(0, 10);
    console.info("the night's work is done", { schedule: tick.name, day });
  },
} satisfies Component;
