// The late-bound seam between the modules that every request uses and those that are evaluated after them.
//
// A core module never imports another one: the other, when it is evaluated, puts what it offers here. In a component all of the
// web platform's are; those for tests and for capabilities are where the source uses them.

/** What modules offer, by name. */
export const registry = Object.create(null);

/** What is offered as `name`. */
export function needed(name, what) {
  const value = registry[name];
  if (value === undefined) throw new TypeError(`${what} needs a web module that was not evaluated: nothing offers ${name}`);
  return value;
}
