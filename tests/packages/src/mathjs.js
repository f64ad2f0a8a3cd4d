import { chain, derivative, evaluate, format, matrix, multiply, simplify, unit } from "mathjs";

export default {
  async fetch(request) {
    return Response.json([evaluate("sqrt(3^2 + 4^2)"), format(evaluate("det([-1, 2; 3, 1])"), 10), derivative("x^2 + x", "x").toString(), simplify("2 * x + 3 * x").toString(), unit("5 cm").to("inch").toString(), multiply(matrix([[1, 2], [3, 4]]), [1, 1]).toString(), chain(3).add(4).done()]);
  },
};
