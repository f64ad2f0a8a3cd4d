// node:stream/consumers. https://nodejs.org/api/webstreams.html#utility-consumers
import native from "elias:native";
import { concat } from "../../webidl/bytes.js";
import { Buffer } from "../buffer.js";

async function bytes(source) {
  const chunks = [];
  for await (const chunk of source) chunks.push(typeof chunk === "string" ? native.utf8Encode(chunk) : new Uint8Array(chunk));
  return concat(chunks.length === 0 ? [new Uint8Array()] : chunks);
}

export const text = async (source) => native.utf8Decode(await bytes(source), false, false);
export const json = async (source) => JSON.parse(await text(source));
export const buffer = async (source) => Buffer.from(await bytes(source));
export const arrayBuffer = async (source) => (await bytes(source)).slice().buffer;
export const blob = async (source) => new globalThis.Blob([await bytes(source)]);

export default { text, json, buffer, arrayBuffer, blob };
