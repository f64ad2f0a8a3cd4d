// The options for the number of digits, and the rounding of a number by them (ECMA-402 §16.5).
import { defaultNumber, getNumberOption, getOption } from "../support.js";
import { roundDigits, roundIncrement, writeDecimal } from "./decimal.js";

const INCREMENTS = [1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000, 2500, 5000];
const MODES = ["ceil", "floor", "expand", "trunc", "halfCeil", "halfFloor", "halfExpand", "halfTrunc", "halfEven"];
const FRACTION_MAX = 100;
const SIGNIFICANT_MAX = 21;

/** SetNumberFormatDigitOptions, §16.1.2: reads the options into `state`. */
export function readDigitOptions(state, options, minimumDefault, maximumDefault, compact) {
  const minimumInteger = getNumberOption(options, "minimumIntegerDigits", 1, 21, 1);
  let minimumFraction = options.minimumFractionDigits;
  let maximumFraction = options.maximumFractionDigits;
  let minimumSignificant = options.minimumSignificantDigits;
  let maximumSignificant = options.maximumSignificantDigits;
  state.minimumIntegerDigits = minimumInteger;
  const increment = getNumberOption(options, "roundingIncrement", 1, 5000, 1);
  if (!INCREMENTS.includes(increment)) throw new RangeError("roundingIncrement value is out of range.");
  const mode = getOption(options, "roundingMode", "string", MODES, "halfExpand");
  const priority = getOption(options, "roundingPriority", "string", ["auto", "morePrecision", "lessPrecision"], "auto");
  const trailingZero = getOption(options, "trailingZeroDisplay", "string", ["auto", "stripIfInteger"], "auto");
  if (increment !== 1) maximumDefault = minimumDefault;
  Object.assign(state, { roundingIncrement: increment, roundingMode: mode, trailingZeroDisplay: trailingZero });
  const hasSignificant = minimumSignificant !== undefined || maximumSignificant !== undefined;
  const hasFraction = minimumFraction !== undefined || maximumFraction !== undefined;
  const auto = priority === "auto";
  const needsSignificant = !auto || hasSignificant;
  const needsFraction = !auto || !(hasSignificant || (!hasFraction && compact));
  if (needsSignificant) {
    minimumSignificant = hasSignificant ? defaultNumber(minimumSignificant, 1, SIGNIFICANT_MAX, 1, "minimumSignificantDigits") : 1;
    maximumSignificant = hasSignificant
      ? defaultNumber(maximumSignificant, minimumSignificant, SIGNIFICANT_MAX, SIGNIFICANT_MAX, "maximumSignificantDigits")
      : SIGNIFICANT_MAX;
    Object.assign(state, { minimumSignificantDigits: minimumSignificant, maximumSignificantDigits: maximumSignificant });
  }
  if (needsFraction) {
    if (hasFraction) {
      minimumFraction = defaultNumber(minimumFraction, 0, FRACTION_MAX, undefined, "minimumFractionDigits");
      maximumFraction = defaultNumber(maximumFraction, 0, FRACTION_MAX, undefined, "maximumFractionDigits");
      if (minimumFraction === undefined) minimumFraction = Math.min(minimumDefault, maximumFraction);
      else if (maximumFraction === undefined) maximumFraction = Math.max(maximumDefault, minimumFraction);
      else if (minimumFraction > maximumFraction) throw new RangeError("maximumFractionDigits value is out of range.");
    } else {
      minimumFraction = minimumDefault;
      maximumFraction = maximumDefault;
    }
    Object.assign(state, { minimumFractionDigits: minimumFraction, maximumFractionDigits: maximumFraction });
  }
  if (!needsSignificant && !needsFraction) {
    Object.assign(state, { minimumFractionDigits: 0, maximumFractionDigits: 0, minimumSignificantDigits: 1, maximumSignificantDigits: 2 });
    state.rounding = "morePrecision";
    state.roundingPriority = "morePrecision";
  } else if (!auto) {
    state.rounding = priority;
    state.roundingPriority = priority;
  } else {
    state.rounding = hasSignificant ? "significantDigits" : "fractionDigits";
    state.roundingPriority = "auto";
  }
  if (increment !== 1) {
    if (state.rounding !== "fractionDigits") throw new TypeError("roundingIncrement cannot be used with significant digits");
    if (state.maximumFractionDigits !== state.minimumFractionDigits) {
      throw new RangeError("roundingIncrement needs minimumFractionDigits and maximumFractionDigits to be equal");
    }
  }
}

/** The options of digits that `resolvedOptions` returns, in its order. */
export const DIGIT_OPTIONS = ["minimumIntegerDigits", "minimumSignificantDigits", "maximumSignificantDigits", "minimumFractionDigits", "maximumFractionDigits"];

function bySignificant(state, decimal) {
  const rounded = roundDigits(decimal, state.maximumSignificantDigits, state.roundingMode);
  const point = rounded.digits === "" ? 1 : rounded.point;
  return { rounded, fraction: Math.max(0, state.minimumSignificantDigits - point), magnitude: point - state.maximumSignificantDigits };
}

function byFraction(state, decimal) {
  const { maximumFractionDigits, minimumFractionDigits, roundingIncrement, roundingMode } = state;
  const rounded =
    roundingIncrement === 1
      ? roundDigits(decimal, decimal.digits === "" ? 0 : decimal.point + maximumFractionDigits, roundingMode)
      : roundIncrement(decimal, maximumFractionDigits, roundingIncrement, roundingMode);
  return { rounded, fraction: minimumFractionDigits, magnitude: -maximumFractionDigits };
}

/**
 * FormatNumericToString, §16.5.4: rounds a finite decimal, and writes its digits. Gives the rounded decimal too.
 */
export function roundAndWrite(state, decimal) {
  let chosen;
  if (state.rounding === "fractionDigits") {
    chosen = byFraction(state, decimal);
  } else if (state.rounding === "significantDigits") {
    chosen = bySignificant(state, decimal);
  } else {
    const significant = bySignificant(state, decimal);
    const fixed = byFraction(state, decimal);
    const precise = significant.magnitude <= fixed.magnitude;
    chosen = (state.rounding === "morePrecision") === precise ? significant : fixed;
  }
  const written = writeDecimal(chosen.rounded, state.minimumIntegerDigits, chosen.fraction);
  if (state.trailingZeroDisplay === "stripIfInteger" && /^0*$/.test(written.fraction)) written.fraction = "";
  return { ...written, rounded: chosen.rounded };
}
