// In which order crypto.subtle looks at what it is given, and what it refuses with.
import assert from "node:assert/strict";
import { test } from "node:test";
import { newWorld } from "./world.mjs";

const native = await newWorld();
// Errors come before anything is made.
native.crypto = {
  rsaGenerate: () => assert.fail("a key is made"),
  generate: () => assert.fail("a key is made"),
};

const refusal = async (algorithm, usages, extractable = true) => {
  try {
    await crypto.subtle.generateKey(algorithm, extractable, usages);
  } catch (error) {
    return error.name;
  }
  return "nothing";
};

const RSA = { name: "RSA-PSS", hash: "SHA-256", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) };

test("generateKey refuses the algorithm first, then usages, then parameters, then the lack of usages", async () => {
  for (const algorithm of ["AES", { name: "AES-CMAC", length: 128 }, { name: "HMAC", hash: "MD5" }, { ...RSA, hash: "SHA" }]) {
    for (const usages of [[], ["sign"], ["decrypt", "deriveBits"]]) {
      assert.equal(await refusal(algorithm, usages), "NotSupportedError", `${JSON.stringify(algorithm)} ${usages}`);
    }
  }
  assert.equal(await refusal({}, ["sign"]), "TypeError");
  assert.equal(await refusal({ name: "ECDSA" }, ["encrypt"]), "TypeError");
  assert.equal(await refusal({ name: "AES-GCM", length: 128 }, ["fly"]), "TypeError");
  for (const [algorithm, bad, good, error] of [
    [{ name: "AES-GCM", length: 127 }, ["sign"], ["encrypt"], "OperationError"],
    [{ ...RSA, publicExponent: new Uint8Array([1]) }, ["encrypt"], ["sign"], "OperationError"],
    [{ ...RSA, modulusLength: 256 }, ["encrypt"], ["sign"], "OperationError"],
    [{ name: "ECDH", namedCurve: "P-512" }, ["sign"], ["deriveBits"], "NotSupportedError"],
    [{ name: "HMAC", hash: "SHA-1", length: 0 }, ["encrypt"], ["sign"], "OperationError"],
  ]) {
    assert.equal(await refusal(algorithm, bad), "SyntaxError", JSON.stringify(algorithm));
    assert.equal(await refusal(algorithm, good), error, JSON.stringify(algorithm));
    assert.equal(await refusal(algorithm, []), error, JSON.stringify(algorithm));
  }
  for (const algorithm of [{ name: "AES-KW", length: 256 }, RSA, { name: "ECDSA", namedCurve: "P-256" }, "Ed25519", { name: "HMAC", hash: "SHA-256" }]) {
    assert.equal(await refusal(algorithm, []), "SyntaxError", JSON.stringify(algorithm));
  }
  // A key pair whose public key alone could be used.
  assert.equal(await refusal(RSA, ["verify"]), "SyntaxError");
});

test("getRandomValues refuses more than its quota", () => {
  assert.throws(
    () => crypto.getRandomValues(new Uint8Array(65_537)),
    (error) => error instanceof QuotaExceededError && error instanceof DOMException && error.constructor === QuotaExceededError
      && error.name === "QuotaExceededError" && error.code === 22 && error.quota === null && error.requested === null,
  );
  assert.throws(() => crypto.getRandomValues(new Float64Array(1)), { name: "TypeMismatchError" });
});
