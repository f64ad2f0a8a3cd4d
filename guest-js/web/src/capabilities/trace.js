// The module `elias/trace`: an author's own spans in the trace of an execution.
//
// The span that is under way follows the flow of control in the async context, in which `node:async_hooks` keeps its
// stores, too. The host has the spans by numbers; 0 is none, and then nothing is done here either.
import native from "elias:native";

const current = native.asyncContext;
const enter = native.setAsyncContext;

/** The key of the span in the async context. */
const SPAN = { name: "span" };

function span(name, callback) {
  if (typeof name !== "string" || name === "") throw new TypeError("a span needs a name, which is a string");
  if (typeof callback !== "function") throw new TypeError("a span needs a function, which is its second argument");
  const former = current();
  const number = native.beginSpan(name, former?.get(SPAN) ?? 0);
  if (number === 0) return callback();
  let result;
  enter(new Map(former).set(SPAN, number));
  try {
    result = callback();
  } catch (error) {
    native.endSpan(number, true);
    throw error;
  } finally {
    enter(former);
  }
  if (typeof result?.then !== "function") {
    native.endSpan(number, false);
    return result;
  }
  return result.then(
    (value) => {
      native.endSpan(number, false);
      return value;
    },
    (error) => {
      native.endSpan(number, true);
      throw error;
    },
  );
}

export const trace = { span };
