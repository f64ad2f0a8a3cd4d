// What import() gives.
export default {
  async namespace() {
    const app = await import("./app.js");
    const refused = (f) => { try { f(); return "done"; } catch (error) { return error.name; } };
    return [Object.keys(app), Object.prototype.toString.call(app), Object.getPrototypeOf(app), (await import("./app.js")) === app, refused(() => { app.extra = 1; }), refused(() => { app.value = 1; }), Object.isExtensible(app)];
  },
  async live() { const app = await import("./app.js"); app.increment(); return app.value; },
  async broken() { const tries = []; for (const _ of [1, 2]) { try { await import("./broken.js"); } catch (e) { tries.push(e.message); } } return tries; },
  async cjs() { const c = await import("./common.cjs"); return [c.default.x, Object.keys(c).includes("default")]; },
  async lazily() { const before = globalThis.corpusLazy; await import("./lazy.js"); return [before, globalThis.corpusLazy]; },
};
