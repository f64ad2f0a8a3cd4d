// The component that compare.mjs asks.
import { answers } from "./cases.mjs";

export default {
  fetch(request) {
    const { searchParams } = new URL(request.url);
    const [from, to] = ["from", "to"].map((name) => Number(searchParams.get(name)));
    return Response.json([...answers(from, to)]);
  },
};
