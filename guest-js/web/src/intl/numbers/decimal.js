// Decimal numbers of any size, as their digits, for Intl to round and format.
//
// A number is `{ negative, digits, point }`: 0.DIGITS times ten to the power of `point`, without zeros at either end; zero has no
// digits. `kind` is "finite", "infinity" or "nan".

/** Most digits a number given as text may have: beyond, it would cost more to write than any reader wants. */
const EXPONENT_MAX = 10_000;

const NAN = { kind: "nan", negative: false, digits: "", point: 0 };

/** The decimal that `Number`, `BigInt` or text is (ToIntlMathematicalValue, ECMA-402 §16.5.16). */
export function toDecimal(value) {
  if (typeof value === "object" && value !== null) value = toPrimitive(value);
  if (typeof value === "bigint") return fromDigits(value < 0n, (value < 0n ? -value : value).toString(), 0);
  if (typeof value === "string") return fromText(value);
  return fromNumber(Number(value));
}

function toPrimitive(value) {
  // As a key of the language does: Number() would turn a bigint into a number.
  const convert = value[Symbol.toPrimitive];
  if (convert !== undefined && convert !== null) {
    const primitive = Reflect.apply(convert, value, ["number"]);
    if (Object(primitive) === primitive) throw new TypeError("Cannot convert object to primitive value");
    return primitive;
  }
  for (const method of ["valueOf", "toString"]) {
    const convertor = value[method];
    if (typeof convertor !== "function") continue;
    const primitive = Reflect.apply(convertor, value, []);
    if (Object(primitive) !== primitive) return primitive;
  }
  throw new TypeError("Cannot convert object to primitive value");
}

export function fromNumber(number) {
  if (Number.isNaN(number)) return NAN;
  const negative = number < 0 || Object.is(number, -0);
  if (!Number.isFinite(number)) return { kind: "infinity", negative, digits: "", point: 0 };
  const text = String(Math.abs(number));
  const e = text.indexOf("e");
  const mantissa = e === -1 ? text : text.slice(0, e);
  const exponent = e === -1 ? 0 : Number(text.slice(e + 1));
  const dot = mantissa.indexOf(".");
  if (dot === -1) return fromDigits(negative, mantissa, exponent);
  return fromDigits(negative, mantissa.slice(0, dot) + mantissa.slice(dot + 1), exponent - (mantissa.length - dot - 1));
}

const NUMERIC_TEXT = /^([+-]?)(?:([0-9]+)\.?([0-9]*)|\.([0-9]+))(?:[eE]([+-]?[0-9]+))?$/;

function fromText(text) {
  const trimmed = text.trim();
  const found = NUMERIC_TEXT.exec(trimmed);
  if (found === null) return fromNumber(Number(trimmed));
  const [, sign, integer = "", fraction = found[4] ?? "", , exponent = "0"] = found;
  const made = fromDigits(sign === "-", integer + fraction, Number(exponent) - fraction.length);
  if (made.digits !== "" && made.point > EXPONENT_MAX) return { ...made, kind: "infinity", digits: "", point: 0 };
  if (made.point < -EXPONENT_MAX) return { ...made, digits: "", point: 0 };
  return made;
}

function fromDigits(negative, digits, exponent) {
  let start = 0;
  let end = digits.length;
  while (start < end && digits[start] === "0") start++;
  while (end > start && digits[end - 1] === "0") end--;
  const point = start === end ? 0 : digits.length - start + exponent;
  return { kind: "finite", negative, digits: digits.slice(start, end), point };
}

/** `decimal` times ten to the power of `power`. */
export const scale = (decimal, power) => (decimal.digits === "" ? decimal : { ...decimal, point: decimal.point + power });

/** Rounds to the first `kept` digits (which can be none, or less than none). */
export function roundDigits(decimal, kept, mode) {
  const { digits, negative, point } = decimal;
  if (kept >= digits.length) return decimal;
  const head = kept > 0 ? digits.slice(0, kept) : "";
  const next = kept >= 0 ? digits.charCodeAt(kept) - 48 : 0;
  const half = next !== 5 ? Math.sign(next - 5) : digits.length > kept + 1 ? 1 : 0;
  const odd = head !== "" && (head.charCodeAt(kept - 1) & 1) === 1;
  if (!roundsUp(mode, negative, half, odd)) return fromDigits(negative, head, point - Math.max(kept, 0));
  if (kept <= 0) return { ...decimal, digits: "1", point: point - kept + 1 };
  let at = kept - 1;
  while (at >= 0 && head[at] === "9") at--;
  if (at < 0) return { ...decimal, digits: "1", point: point + 1 };
  return { ...decimal, digits: head.slice(0, at) + String.fromCharCode(head.charCodeAt(at) + 1) };
}

/** Whether the size grows: `half` is the sign of what is cut off against a half. */
function roundsUp(mode, negative, half, odd) {
  switch (mode) {
    case "ceil":
      return !negative;
    case "floor":
      return negative;
    case "expand":
      return true;
    case "trunc":
      return false;
    default:
      if (half !== 0) return half > 0;
  }
  switch (mode) {
    case "halfCeil":
      return !negative;
    case "halfFloor":
      return negative;
    case "halfExpand":
      return true;
    case "halfTrunc":
      return false;
    default:
      return odd; // halfEven
  }
}

/** Rounds to a multiple of `increment` at the `fraction`th digit after the point. */
export function roundIncrement(decimal, fraction, increment, mode) {
  const { digits, negative, point } = decimal;
  if (digits === "") return decimal;
  // The number in units of ten to the power of -(fraction), with what is cut off kept as more digits.
  const more = Math.max(0, digits.length - point - fraction);
  const whole = BigInt(digits + "0".repeat(Math.max(0, point + fraction - digits.length)));
  const step = BigInt(increment) * 10n ** BigInt(more);
  let quotient = whole / step;
  const rest = whole % step;
  if (rest !== 0n) {
    const twice = rest * 2n;
    const half = twice < step ? -1 : twice > step ? 1 : 0;
    if (roundsUp(mode, negative, half, (quotient & 1n) === 1n)) quotient++;
  }
  return fromDigits(negative, (quotient * BigInt(increment)).toString(), -fraction);
}

/** The digits before and after the point, at least `minimumInteger` and `minimumFraction` of them. */
export function writeDecimal({ digits, point }, minimumInteger, minimumFraction) {
  let integer = point > 0 ? digits.slice(0, point).padEnd(point, "0") : "";
  let fraction = point >= 0 ? digits.slice(point) : "0".repeat(digits === "" ? 0 : -point) + digits;
  integer = integer.padStart(Math.max(minimumInteger, 0), "0");
  fraction = fraction.padEnd(minimumFraction, "0");
  return { integer, fraction };
}
