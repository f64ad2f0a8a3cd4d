// Late binding in place of imports: core modules look up by name what modules that are evaluated after them offer.
//
// A core module imports core modules only. The others, when they are evaluated, register here what core modules call. In a
// component all modules of the web platform are evaluated; those for tests and for capabilities only where the source uses
// them.

/** Functions, classes and objects that modules register, by name. */
export const registry = Object.create(null);

/** The registered value `name`; a TypeError for `what`, the operation that needs it, if no module has registered it. */
export function requireRegistered(name, what) {
  const value = registry[name];
  if (value === undefined) throw new TypeError(`${what} needs a web module that was not evaluated: nothing offers ${name}`);
  return value;
}
