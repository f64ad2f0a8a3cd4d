import jws from "jws";
import { Buffer } from "node:buffer";

export default {
  fetch() {
    const signed = jws.sign({ header: { alg: "HS256" }, payload: { a: "ä" }, secret: "secret" });
    const other = jws.sign({ header: { alg: "HS512", typ: "JWT" }, payload: Buffer.from("bytes"), secret: Buffer.from("key") });
    return Response.json({ signed, other, right: jws.verify(signed, "HS256", "secret"), wrong: jws.verify(signed, "HS256", "other"), decoded: jws.decode(signed), none: jws.isValid("a.b") });
  },
};
