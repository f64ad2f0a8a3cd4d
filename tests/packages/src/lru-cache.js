import { LRUCache } from "lru-cache";

export default {
  async fetch(request) {
    const cache = new LRUCache({ max: 2, ttl: 60000, fetchMethod: async (key) => `${key}!` });
    cache.set("a", 1).set("b", 2).set("c", 3);
    return Response.json({ keys: [...cache.keys()], got: cache.get("b"), size: cache.size, fetched: await cache.fetch("z") });
  },
};
