import _ from "underscore";

export default {
  async fetch(request) {
    return Response.json({ chain: _.chain([3, 1, 2]).sortBy().map((n) => n * 2).value(), template: _.template("hello <%= name %>")({ name: "x" }), group: _.countBy([1, 2, 3], (n) => (n % 2 ? "odd" : "even")) });
  },
};
