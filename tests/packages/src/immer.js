import { produce } from "immer";

export default {
  async fetch(request) {
    const base = { a: [1, { x: 1 }], b: { y: 2 } };
    const next = produce(base, (draft) => {
      draft.a[1].x = 2;
      draft.a.push(3);
    });
    return Response.json({ base, next, shared: base.b === next.b });
  },
};
