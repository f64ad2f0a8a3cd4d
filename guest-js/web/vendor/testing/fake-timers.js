// Fake timers and a fake clock. The package tries the real ones as soon as it is loaded, so it is loaded by the
// first test that asks for it.
export const withGlobal = (global) => require("@sinonjs/fake-timers").withGlobal(global);
