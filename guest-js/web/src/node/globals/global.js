// `global`, where it is said in a way that the bundler did not replace.
import { defineHidden } from "../../webidl/interfaces.js";

defineHidden(globalThis, "global", globalThis);
