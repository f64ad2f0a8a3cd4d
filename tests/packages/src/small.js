import classNames from "classnames";
import clsx from "clsx";
import deepmerge from "deepmerge";
import equal from "fast-deep-equal";
import hash from "object-hash";
import seedrandom from "seedrandom";

export default {
  async fetch(request) {
    return Response.json({ classes: [classNames("a", { b: true, c: false }), clsx(["x", 0, { y: 1 }])], merged: deepmerge({ a: [1] }, { a: [2], b: 3 }), equal: equal({ a: [1] }, { a: [1] }), hash: hash({ a: 1, b: [2] }), random: seedrandom("seed")() });
  },
};
