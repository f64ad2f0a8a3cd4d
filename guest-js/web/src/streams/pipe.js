// pipeTo: pipes a readable stream into a writable one. https://streams.spec.whatwg.org/#readable-stream-pipe-to
// (4.9.1, "ReadableStreamPipeTo")
import { inMicrotask, markAsHandled, noop, promiseResolvedWith, react } from "./promises.js";
import { ReaderState } from "./readable-state.js";
import { WriterState } from "./writable-state.js";

/** Pipes a ReadableState into a WritableState; the promise settles when all is written or either side has failed. */
export function pipeTo(source, target, { preventAbort, preventCancel, preventClose, signal }) {
  const reader = new ReaderState(source);
  const writer = new WriterState(target);
  source.disturbed = true;

  return new Promise((resolve, reject) => {
    let shuttingDown = false;
    let lastWrite = promiseResolvedWith(undefined);

    /** All that was read has to be written before the pipe lets go, also what is written while we wait. */
    async function writesFinished() {
      for (let seen; seen !== lastWrite; ) await (seen = lastWrite);
    }

    /** Ends the pipe after `action`, with `failure` ({ error }) unless the action fails with an error of its own. */
    async function shutDown(action, failure) {
      if (shuttingDown) return;
      shuttingDown = true;
      if (target.phase === "writable" && !target.closeQueuedOrInFlight) await writesFinished();
      try {
        await action?.();
      } catch (error) {
        failure = { error };
      }
      writer.release();
      reader.release();
      signal?.removeEventListener("abort", onAbort);
      if (failure === undefined) resolve();
      else reject(failure.error);
    }

    function onAbort() {
      const error = signal.reason;
      const actions = [];
      if (!preventAbort && target.phase === "writable") actions.push(() => target.abort(error));
      if (!preventCancel && source.phase === "readable") actions.push(() => source.cancel(error));
      shutDown(() => Promise.all(actions.map((action) => action())), { error });
    }

    function onSourceError(error) {
      shutDown(preventAbort ? undefined : () => target.abort(error), { error });
    }

    function onTargetError(error) {
      shutDown(preventCancel ? undefined : () => source.cancel(error), { error });
    }

    function onSourceClosed() {
      shutDown(preventClose ? undefined : () => writer.closeWithErrorPropagation());
    }

    function step() {
      if (shuttingDown) return;
      const go = () => {
        if (shuttingDown) return;
        source.read({
          // In a microtask, so that a source that enqueues does not come back to find its chunk written.
          chunk: (chunk) =>
            inMicrotask(() => {
              if (writer.stream === undefined) return;
              lastWrite = react(writer.write(chunk), undefined, noop);
              step();
            }),
          // The closed promises of both sides tell about the end and about errors.
          close: noop,
          error: noop,
        });
      };
      react(writer.ready.promise, go, noop);
    }

    if (signal !== undefined) {
      if (signal.aborted) {
        onAbort();
        return;
      }
      signal.addEventListener("abort", onAbort);
    }
    // Errors and ends that are there already must act in this order, before anything is read.
    if (source.phase === "errored") onSourceError(source.storedError);
    else if (target.phase === "errored") onTargetError(target.storedError);
    else if (source.phase === "closed") onSourceClosed();
    else if (target.closeQueuedOrInFlight || target.phase === "closed") {
      onTargetError(new TypeError("the destination of the pipe is closed or closing"));
    }

    react(reader.closed.promise, onSourceClosed, onSourceError);
    markAsHandled(react(writer.closed.promise, noop, onTargetError));
    step();
  });
}
