// The global `Buffer`.
import { defineHidden } from "../../webidl/interfaces.js";
import { Buffer } from "../buffer.js";

defineHidden(globalThis, "Buffer", Buffer);
