import * as v from "valibot";

const User = v.object({ name: v.string(), email: v.pipe(v.string(), v.email()) });

export default {
  async fetch(request) {
    return Response.json({
      good: v.parse(User, { name: "Ada", email: "ada@example.org" }),
      bad: v.flatten(v.safeParse(User, { name: 1, email: "x" }).issues),
    });
  },
};
