// Validation of input: by a function, a Standard Schema (https://standardschema.dev: zod, valibot, arktype), or a
// method `parse`.

/** The issues of an input that is not valid. */
export class ValidationFailure {
  constructor(issues) {
    this.issues = issues;
  }
}

const issuesOf = (issues) =>
  issues.map(({ message, path = [] }) => ({
    message,
    path: path.map((key) => (typeof key === "object" && key !== null ? key.key : key)).map(String),
  }));

/**
 * The checked value, or a {@link ValidationFailure}. An exception of a function is an issue, unless it shows a defect
 * of the function.
 */
export async function check(schema, value) {
  if (schema === undefined) return value;
  const standard = schema["~standard"];
  if (standard !== undefined) {
    const result = await standard.validate(value);
    return result.issues ? new ValidationFailure(issuesOf(result.issues)) : result.value;
  }
  try {
    return await (typeof schema === "function" ? schema(value) : schema.parse(value));
  } catch (error) {
    if (error instanceof ReferenceError || error instanceof SyntaxError) throw error;
    return new ValidationFailure(Array.isArray(error?.issues) ? issuesOf(error.issues) : [{ message: `${error?.message ?? error}`, path: [] }]);
  }
}

/** Throws a TypeError, during the build, for a value that is not a schema. */
export function checkSchema(schema, name) {
  const fits = schema === undefined || typeof schema === "function" || schema?.["~standard"] || typeof schema?.parse === "function";
  if (!fits) throw new TypeError(`${name} must be a schema: a function, a Standard Schema, or an object with a method parse`);
}
