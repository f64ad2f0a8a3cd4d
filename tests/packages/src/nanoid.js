import { customAlphabet, nanoid } from "nanoid";

export default {
  async fetch(request) {
    return Response.json({ length: nanoid().length, other: nanoid() !== nanoid(), custom: /^[ab]{8}$/.test(customAlphabet("ab", 8)()) });
  },
};
