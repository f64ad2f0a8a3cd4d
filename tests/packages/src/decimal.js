import Decimal from "decimal.js";

export default {
  async fetch(request) {
    return Response.json({ sum: new Decimal("0.1").plus("0.2").toString(), root: Decimal.sqrt(2).toString(), power: new Decimal(2).pow(200).toFixed(), e: Decimal.exp(1).toDP(30).toString() });
  },
};
