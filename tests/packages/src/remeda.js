import * as R from "remeda";

export default {
  async fetch(request) {
    return Response.json({ a: R.pipe([1, 2, 2, 3], R.unique(), R.map((n) => n * 2), R.take(2)), b: R.groupBy([{ t: "x", n: 1 }, { t: "y", n: 2 }], R.prop("t")), c: R.merge({ a: 1 }, { b: 2 }) });
  },
};
