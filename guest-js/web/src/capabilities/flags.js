// The module `elias/flags`: feature flags, evaluated as OpenFeature says.
//
// The host has the flags in memory, so that an evaluation waits for nothing and returns the value itself. It throws
// nothing either: whatever goes wrong, the code's own default is the value, and the details say why.
import native from "elias:native";

/** Whether a value has the type that is asked for; objects and arrays are of one. */
const isOfType = (value, type) =>
  type === "object" ? value !== null && typeof value === "object" : typeof value === type;

function failed(flagKey, value, errorCode, errorMessage) {
  return { flagKey, value, reason: "ERROR", errorCode, errorMessage, flagMetadata: Object.freeze({}) };
}

/** The JSON of the context of an evaluation; undefined if it has none. */
function contextJson(context) {
  try {
    return JSON.stringify(context ?? {});
  } catch {
    return undefined; // a cycle, or a BigInt
  }
}

function details(type, flagKey, defaultValue, context) {
  if (!isOfType(defaultValue, type)) {
    return failed(flagKey, defaultValue, "TYPE_MISMATCH", `the default value must be of the type ${type}`);
  }
  const json = contextJson(context);
  if (json === undefined) return failed(flagKey, defaultValue, "INVALID_CONTEXT", "the context has no JSON form");
  const evaluated = native.flagsEvaluate(`${flagKey}`, type, json);
  if (evaluated.errorCode !== undefined) {
    return failed(flagKey, defaultValue, evaluated.errorCode, evaluated.errorMessage);
  }
  const { variant, value, reason, metadata } = evaluated;
  return {
    flagKey,
    value: value === undefined ? defaultValue : JSON.parse(value),
    variant,
    reason,
    flagMetadata: Object.freeze(metadata === undefined ? {} : JSON.parse(metadata)),
  };
}

/** The method of a provider for flags of a type, as the SDK of OpenFeature for servers calls it. */
const resolver = (type) => async (flagKey, defaultValue, context) => details(type, flagKey, defaultValue, context);

const provider = Object.freeze({
  metadata: Object.freeze({ name: "elias" }),
  runsOn: "server",
  resolveBooleanEvaluation: resolver("boolean"),
  resolveStringEvaluation: resolver("string"),
  resolveNumberEvaluation: resolver("number"),
  resolveObjectEvaluation: resolver("object"),
});

export const flags = {
  getBooleanValue: (flagKey, defaultValue, context) => details("boolean", flagKey, defaultValue, context).value,
  getStringValue: (flagKey, defaultValue, context) => details("string", flagKey, defaultValue, context).value,
  getNumberValue: (flagKey, defaultValue, context) => details("number", flagKey, defaultValue, context).value,
  getObjectValue: (flagKey, defaultValue, context) => details("object", flagKey, defaultValue, context).value,
  getBooleanDetails: (flagKey, defaultValue, context) => details("boolean", flagKey, defaultValue, context),
  getStringDetails: (flagKey, defaultValue, context) => details("string", flagKey, defaultValue, context),
  getNumberDetails: (flagKey, defaultValue, context) => details("number", flagKey, defaultValue, context),
  getObjectDetails: (flagKey, defaultValue, context) => details("object", flagKey, defaultValue, context),
  /** For `OpenFeature.setProvider(flags.provider)` of `@openfeature/server-sdk`. */
  provider,
};
