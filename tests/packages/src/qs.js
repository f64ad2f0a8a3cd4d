import qs from "qs";

export default {
  async fetch(request) {
    return Response.json({ parsed: qs.parse("a[b][c]=d&e[]=1&e[]=2&f=%20"), text: qs.stringify({ a: { b: "c" }, d: [1, 2] }) });
  },
};
