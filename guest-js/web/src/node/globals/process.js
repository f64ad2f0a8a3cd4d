// The global `process`.
import { defineHidden } from "../../webidl/interfaces.js";
import process from "../process.js";

defineHidden(globalThis, "process", process);
