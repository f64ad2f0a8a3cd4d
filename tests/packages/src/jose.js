import { SignJWT, base64url, calculateJwkThumbprint, decodeJwt, jwtVerify } from "jose";

const secret = new TextEncoder().encode("a secret of thirty-two characters");

export default {
  async fetch(request) {
    const token = await new SignJWT({ sub: "ada" }).setProtectedHeader({ alg: "HS256" }).setIssuedAt(1700000000).sign(secret);
    const { payload } = await jwtVerify(token, secret);
    return Response.json({ token, payload, decoded: decodeJwt(token), bad: await jwtVerify(token.slice(0, -2), secret).catch((error) => error.code), thumbprint: await calculateJwkThumbprint({ kty: "oct", k: base64url.encode(secret) }) });
  },
};
