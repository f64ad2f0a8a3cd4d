import BigNumber from "bignumber.js";
import Big from "big.js";

export default {
  async fetch(request) {
    return Response.json({ a: new BigNumber("1e500").dividedBy(3).toString(), b: new Big("1").div(3).toFixed(30), hex: new BigNumber(255).toString(16) });
  },
};
