// Durable Objects that count, and a handler that sends `messages` to `count` of them at once.
import { DurableObject } from "cloudflare:workers";

export class Counter extends DurableObject {
  count = 0;
  add(n) {
    this.count += n;
    return this.count;
  }
}

export default {
  async fetch(request, env) {
    const { searchParams } = new URL(request.url);
    const [count, messages] = ["count", "messages"].map((name) => Number(searchParams.get(name)));
    const send = (_, at) => env.COUNTERS.get(env.COUNTERS.idFromName(`w${at % count}`)).add(1);
    await Promise.all(Array.from({ length: messages }, send));
    return new Response("done\n");
  },
};
