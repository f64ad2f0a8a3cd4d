import _ from "lodash";

export default {
  async fetch(request) {
    return Response.json({
      chunk: _.chunk([1, 2, 3, 4, 5], 2),
      group: _.groupBy([6.1, 4.2, 6.3], Math.floor),
      merge: _.merge({ a: [{ b: 2 }] }, { a: [{ c: 3 }] }),
      template: _.kebabCase("Foo Bar") + _.startCase("foo_bar") + _.deburr("déjà"),
      get: _.get({ a: [{ b: { c: 3 } }] }, "a[0].b.c"),
      sorted: _.sortBy([{ n: 2 }, { n: 1 }], "n"),
      clone: _.isEqual(_.cloneDeep({ a: new Date(0), b: /x/g, c: new Map([[1, 2]]) }), { a: new Date(0), b: /x/g, c: new Map([[1, 2]]) }),
      words: _.words("fred, barney, & pebbles"),
    });
  },
};
