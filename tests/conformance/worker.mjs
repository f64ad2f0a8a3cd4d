// Runs a test in ELIAS and in workerd when it is asked: `GET /?base=...&seconds=...` answers with the results as JSON.
import run from "./test.js";

export default {
  async fetch(request) {
    const given = new URL(request.url).searchParams;
    const outcome = await run(given.get("base"), Number(given.get("seconds")));
    return new Response(JSON.stringify(outcome), { headers: { "content-type": "application/json" } });
  },
};
