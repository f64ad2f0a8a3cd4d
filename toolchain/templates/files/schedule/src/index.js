// Runs at the times that elias.toml has. `elias trigger schedule nightly` runs it now.
/** @type {import("elias").Component} */
export default {
  async scheduled(tick) {
    const day = new Date(tick.scheduledTime).toISOString().slice(0, 10);
    console.info("the night's work is done", { schedule: tick.name, day });
  },
};
