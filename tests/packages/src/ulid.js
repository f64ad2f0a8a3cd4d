import { decodeTime, ulid } from "ulid";

export default {
  async fetch(request) {
    return Response.json({ time: decodeTime(ulid(1700000000000)), length: ulid().length, prefix: ulid(1700000000000).slice(0, 10) });
  },
};
