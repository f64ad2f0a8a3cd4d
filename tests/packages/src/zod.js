import { z } from "zod";

const User = z.object({
  name: z.string().min(1),
  age: z.coerce.number().int().positive(),
  email: z.email(),
  tags: z.array(z.string()).default([]),
});

export default {
  async fetch(request) {
    return Response.json({
      good: User.parse({ name: "Ada", age: "36", email: "ada@example.org", tags: ["a"] }),
      bad: User.safeParse({ name: "", age: -1, email: "x" }).error.issues,
      json: z.toJSONSchema(z.object({ a: z.string(), b: z.number().optional() })),
    });
  },
};
