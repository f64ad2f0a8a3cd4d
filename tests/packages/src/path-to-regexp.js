import { compile, match } from "path-to-regexp";

export default {
  async fetch(request) {
    return Response.json({ match: match("/users/:id{/:tab}")("/users/7/posts"), path: compile("/users/:id")({ id: "a b" }) });
  },
};
