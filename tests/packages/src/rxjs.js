import { concatMap, delay, filter, from, interval, lastValueFrom, map, of, scan, take, toArray } from "rxjs";

export default {
  async fetch(request) {
    const list = await lastValueFrom(from([1, 2, 3, 4]).pipe(filter((n) => n % 2 === 0), map((n) => n * 10), concatMap((n) => of(n, n + 1).pipe(delay(1))), scan((sum, n) => sum + n, 0), toArray()));
    const ticks = await lastValueFrom(interval(2).pipe(take(3), toArray()));
    return Response.json({ list, ticks });
  },
};
