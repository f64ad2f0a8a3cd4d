import Bluebird from "bluebird";

export default {
  async fetch(request) {
    return Response.json({ mapped: await Bluebird.map([1, 2, 3], async (n) => n * 2, { concurrency: 2 }), delayed: await Bluebird.delay(2, "x"), props: await Bluebird.props({ a: Promise.resolve(1) }), caught: await Bluebird.reject(new TypeError("no")).catch(TypeError, (error) => error.message) });
  },
};
