// The global `Buffer`.
import { defineHidden } from "../../webidl.js";
import { Buffer } from "../buffer.js";

defineHidden(globalThis, "Buffer", Buffer);
