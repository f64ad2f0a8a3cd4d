import { camelCase, debounce, orderBy, pick, uniqBy } from "lodash-es";

export default {
  async fetch(request) {
    return Response.json({
      camel: camelCase("--foo-bar--"),
      pick: pick({ a: 1, b: 2 }, ["a"]),
      order: orderBy([{ n: 1, s: "b" }, { n: 1, s: "a" }, { n: 2, s: "c" }], ["n", "s"], ["desc", "asc"]),
      uniq: uniqBy([2.1, 1.2, 2.3], Math.floor),
      debounced: typeof debounce(() => {}, 10).cancel,
    });
  },
};
