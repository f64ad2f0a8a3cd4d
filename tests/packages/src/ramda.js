import * as R from "ramda";

export default {
  async fetch(request) {
    return Response.json({ piped: R.pipe(R.filter(R.lt(2)), R.map(R.multiply(2)))([1, 2, 3, 4]), path: R.path(["a", 0, "b"], { a: [{ b: 1 }] }), group: R.groupBy(R.length, ["a", "bb", "cc"]), lens: R.over(R.lensProp("x"), R.inc, { x: 1 }) });
  },
};
