// The global `global`, for uses that the bundler could not replace.
import { defineHidden } from "../../webidl/interfaces.js";

defineHidden(globalThis, "global", globalThis);
