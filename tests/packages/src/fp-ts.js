import * as A from "fp-ts/lib/Array.js";
import * as E from "fp-ts/lib/Either.js";
import { pipe } from "fp-ts/lib/function.js";
import * as O from "fp-ts/lib/Option.js";
import * as TE from "fp-ts/lib/TaskEither.js";

export default {
  async fetch(request) {
    return Response.json({ list: pipe([1, 2, 3], A.filter((n) => n > 1), A.map((n) => n * 2)), option: pipe(A.head([]), O.getOrElse(() => "none")), either: pipe(E.right(2), E.map((n) => n + 1)), task: await pipe(TE.tryCatch(() => Promise.reject(new Error("no")), (error) => error.message), TE.mapLeft((text) => `${text}!`))() });
  },
};
