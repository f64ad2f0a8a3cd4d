import jwt from "jsonwebtoken";

export default {
  async fetch(request) {
    const token = jwt.sign({ sub: "ada", iat: 1700000000 }, "secret");
    let bad;
    try {
      jwt.verify(token, "other");
    } catch (error) {
      bad = [error.name, error.message];
    }
    return Response.json({ token, payload: jwt.verify(token, "secret"), decoded: jwt.decode(token, { complete: true }).header, bad });
  },
};
