// CryptoKey. https://w3c.github.io/webcrypto/#cryptokey-interface (13)
import { registry } from "../internal/registry.js";
import { defineInterface, inspect } from "../webidl/interfaces.js";

const INTERNAL = Symbol("internal");

/** The order in which usages are listed. */
export const USAGES = ["encrypt", "decrypt", "sign", "verify", "deriveKey", "deriveBits", "wrapKey", "unwrapKey"];

/** Makes a key; `material` is its bytes: the secret, a private scalar, a public point, or for RSA the DER of the key. */
export let newKey;
export let materialOf;
export let isKey;

export class CryptoKey {
  #type;
  #extractable;
  #algorithm;
  #usages;
  #material;

  static {
    newKey = (type, algorithm, extractable, usages, material) => {
      const key = new CryptoKey(INTERNAL);
      key.#type = type;
      key.#algorithm = algorithm;
      key.#extractable = Boolean(extractable);
      key.#usages = USAGES.filter((usage) => usages.includes(usage));
      key.#material = material;
      return key;
    };
    materialOf = (key) => key.#material;
    // For structuredClone.
    (registry.serializers ??= []).push((value) => {
      if (!(#type in value)) return undefined;
      return newKey(value.#type, value.#algorithm, value.#extractable, value.#usages, value.#material);
    });
    isKey = (value) => typeof value === "object" && value !== null && #type in value;
  }

  constructor(token = undefined) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
  }

  get type() {
    return this.#type;
  }

  get extractable() {
    return this.#extractable;
  }

  get algorithm() {
    return this.#algorithm;
  }

  get usages() {
    return this.#usages;
  }

  [inspect]() {
    const { type, extractable, algorithm, usages } = this;
    return { type, extractable, algorithm, usages };
  }
}

defineInterface(CryptoKey);
