// The global `process`.
import { defineHidden } from "../../webidl.js";
import process from "../process.js";

defineHidden(globalThis, "process", process);
