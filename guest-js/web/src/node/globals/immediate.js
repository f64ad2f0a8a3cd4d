// The globals `setImmediate` and `clearImmediate`.
import { defineGlobals } from "../../webidl/interfaces.js";
import { clearImmediate, setImmediate } from "../internal/immediate.js";

defineGlobals({ setImmediate, clearImmediate });
