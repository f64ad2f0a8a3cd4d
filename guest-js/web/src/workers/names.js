// Names of classes, workers, methods, alarms, events and sockets.

/** The most characters of a name. */
export const NAME_CHARACTERS_MAX = 256;

/** A name, checked; `what` says whose it is. One that is not well-formed Unicode could not be told to the host. */
export function checkName(name, what) {
  if (typeof name !== "string" || name === "" || name.length > NAME_CHARACTERS_MAX) {
    throw new TypeError(`${what} must be a string of 1 to ${NAME_CHARACTERS_MAX} characters`);
  }
  if (!name.isWellFormed()) throw new TypeError(`${what} must not have half of a surrogate pair`);
  return name;
}
