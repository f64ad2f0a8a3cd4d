/** Fields of a log line: anything; what has no JSON form is shown as text. */
export type Fields = Readonly<Record<string, unknown>>;

/** Writes lines with fields. The host adds execution, component and version. */
export interface Log {
  trace(message: unknown, fields?: Fields): void;
  debug(message: unknown, fields?: Fields): void;
  info(message: unknown, fields?: Fields): void;
  warn(message: unknown, fields?: Fields): void;
  error(message: unknown, fields?: Fields): void;
  /** A logger whose lines have these fields too. */
  child(fields: Fields): Log;
}

export const log: Log;
