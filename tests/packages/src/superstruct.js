import { array, create, defaulted, number, object, string, StructError } from "superstruct";

const User = object({ name: string(), tags: defaulted(array(number()), () => [1]) });

export default {
  async fetch(request) {
    let bad;
    try {
      create({ name: 1 }, User);
    } catch (error) {
      bad = [error instanceof StructError, error.message, error.path];
    }
    return Response.json({ good: create({ name: "x" }, User), bad });
  },
};
