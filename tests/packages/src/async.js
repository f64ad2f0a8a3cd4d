import async from "async";

export default {
  async fetch(request) {
    const waterfall = await new Promise((resolve, reject) => async.waterfall([(next) => next(null, 1), (n, next) => setImmediate(next, null, n + 1)], (error, value) => (error ? reject(error) : resolve(value))));
    return Response.json({ series: await async.series([async () => 1, async () => 2]), mapped: await async.mapLimit([1, 2, 3], 2, async (n) => n * 2), waterfall });
  },
};
