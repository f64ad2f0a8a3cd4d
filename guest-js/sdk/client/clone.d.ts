/** The structured clone encoding of workers, version 1: values as texts that keep what JSON alone would lose. */

/** The most UTF-16 units of a text, where nothing else is said. */
export const ENCODED_MAX: number;

/**
 * The text of a value. `what` names it in errors.
 *
 * Throws a `DataCloneError` with the path of what cannot be cloned, and a `RangeError` if the text would be longer than
 * `max` (1,048,576 by default).
 */
export function encode(value: unknown, what?: string, options?: { max?: number }): string;

/** The value of a text. Throws a `TypeError` if the text is none of this encoding. */
export function decode(text: string): unknown;
