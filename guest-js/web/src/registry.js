// The late-bound seam between modules that are always loaded and modules that may not be.
//
// A core module never imports an optional one: the optional module, when it is loaded, puts what it offers here.

/** What the optional modules that are loaded offer, by name. */
export const registry = Object.create(null);

/** The optional `name`, or a TypeError that tells the author of a component which global to mention to get it in. */
export function needed(name, what, global) {
  const value = registry[name];
  if (value === undefined) {
    throw new TypeError(
      `${what} needs ${global}, which is not in this component, because nothing in the source mentions it. ` +
        `Write its name anywhere in the source (for example "void globalThis.${global}") and build again.`,
    );
  }
  return value;
}
