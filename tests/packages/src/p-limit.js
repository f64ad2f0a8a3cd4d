import pLimit from "p-limit";
import PQueue from "p-queue";

export default {
  async fetch(request) {
    const limit = pLimit(1);
    const order = [];
    const queue = new PQueue({ concurrency: 1 });
    const queued = [];
    queue.add(() => queued.push("low"), { priority: 0 });
    queue.add(() => queued.push("mid"), { priority: 1 });
    queue.add(() => queued.push("high"), { priority: 2 });
    await queue.onIdle();
    return Response.json({ done: await Promise.all([3, 1, 2].map((n) => limit(async () => order.push(n)))), order, queued });
  },
};
