import debug from "debug";

export default {
  async fetch(request) {
    debug.enable("app:*");
    const log = debug("app:test");
    debug.log = () => {};
    log("hello %d", 1);
    return Response.json({ enabled: log.enabled, named: debug.enabled("app:x"), other: debug.enabled("other") });
  },
};
