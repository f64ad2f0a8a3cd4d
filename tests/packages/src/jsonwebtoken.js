import jwt from "jsonwebtoken";
import { certPem, ec384Pem, ecPem, rsaPem } from "./fixtures/keys.js";

const claims = { sub: "ada", iat: 1700000000 };

export default {
  async fetch(request) {
    const token = jwt.sign(claims, "secret");
    const failures = [];
    const fails = (work) => {
      try {
        work();
      } catch (error) {
        failures.push([error.name, error.message]);
      }
    };
    fails(() => jwt.verify(token, "other"));
    fails(() => jwt.verify(jwt.sign({ ...claims, exp: 1700000001 }, "secret"), "secret"));
    fails(() => jwt.verify(token, certPem));
    fails(() => jwt.sign(claims, ecPem, { algorithm: "ES384" }));
    fails(() => jwt.sign(claims, "text", { algorithm: "RS256" }));
    const signed = ["RS256", "RS512", "PS256"].map((algorithm) => {
      const made = jwt.sign(claims, rsaPem, { algorithm });
      return [algorithm === "PS256" ? made.length : made, jwt.verify(made, certPem, { algorithms: [algorithm] })];
    });
    const curves = [[ecPem, "ES256"], [ec384Pem, "ES384"]].map(([key, algorithm]) => jwt.verify(jwt.sign(claims, key, { algorithm }), key));
    const called = await new Promise((resolve) => jwt.sign(claims, rsaPem, { algorithm: "RS384" }, (error, made) => resolve([error, made])));
    return Response.json({ token, payload: jwt.verify(token, "secret"), decoded: jwt.decode(token, { complete: true }).header, failures, signed, curves, called });
  },
};
