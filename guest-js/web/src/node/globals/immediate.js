// The globals `setImmediate` and `clearImmediate`.
import { defineGlobals } from "../../webidl.js";
import { clearImmediate, setImmediate } from "../internal/immediate.js";

defineGlobals({ setImmediate, clearImmediate });
