// elias/log: log lines with fields.

/** The fields of a log line. A value that JSON cannot express is logged as text. */
export type Fields = Readonly<Record<string, unknown>>;

/** Writes log lines with fields. The host adds execution, component and version. */
export interface Log {
  trace(message: unknown, fields?: Fields): void;
  debug(message: unknown, fields?: Fields): void;
  info(message: unknown, fields?: Fields): void;
  warn(message: unknown, fields?: Fields): void;
  error(message: unknown, fields?: Fields): void;
  /** Returns a logger that adds these fields to every line. */
  child(fields: Fields): Log;
}

export const log: Log;
