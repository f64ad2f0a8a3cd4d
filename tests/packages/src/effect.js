import { Duration, Effect, Option, pipe, Result, Schedule, Schema } from "effect";

export default {
  async fetch(request) {
    let tries = 0;
    const flaky = Effect.suspend(() => (++tries < 3 ? Effect.fail(new Error("again")) : Effect.succeed(tries)));
    const program = Effect.gen(function* () {
      yield* Effect.sleep(Duration.millis(2));
      const value = yield* Effect.retry(flaky, Schedule.recurs(5));
      const all = yield* Effect.all([Effect.succeed(1), Effect.promise(async () => 2)], { concurrency: "unbounded" });
      return { value, all };
    });
    return Response.json({ value: await Effect.runPromise(program), failed: String(await Effect.runPromise(Effect.flip(Effect.fail("bad")))), schema: Schema.decodeUnknownSync(Schema.Struct({ n: Schema.NumberFromString }))({ n: "3" }), option: pipe(Option.some(2), Option.map((n) => n * 2), Option.getOrElse(() => 0)), either: Result.isFailure(Result.fail(1)) });
  },
};
