//! Integers of 64 bits between JavaScript and the host.

use javy::quickjs::{BigInt, Coerced, Ctx, Exception, IntoJs, Result, Value};

/// The largest integer that a JavaScript number holds exactly, and all below it.
pub(super) const SAFE_MAX: i64 = (1 << 53) - 1;

/// A number where that is exact, else a bigint.
pub(crate) fn integer_to_js<'js>(ctx: &Ctx<'js>, integer: i64) -> Result<Value<'js>> {
    if (-SAFE_MAX..=SAFE_MAX).contains(&integer) {
        (integer as f64).into_js(ctx)
    } else {
        BigInt::from_i64(ctx.clone(), integer).map(BigInt::into_value)
    }
}

/// The integer that a number or a bigint is.
pub(crate) fn integer_from_js(ctx: &Ctx<'_>, value: Value<'_>) -> Result<i64> {
    if let Some(number) = value.as_number() {
        if number.fract() == 0.0 && number.abs() <= SAFE_MAX as f64 {
            return Ok(number as i64);
        }
    } else if value.is_big_int() {
        // As a text, since the conversion to 64 bits drops those that are too many.
        let digits = value.get::<Coerced<String>>()?.0;
        if let Ok(integer) = digits.parse() {
            return Ok(integer);
        }
        let message =
            format!("{} does not fit into 64 bits: an integer from -2^63 to 2^63 - 1 is needed", shorten(&digits));
        return Err(Exception::throw_range(ctx, &message));
    }
    Err(Exception::throw_range(ctx, "an integer of at most 64 bits is needed"))
}

/// The beginning of a number that may have a million digits.
fn shorten(digits: &str) -> String {
    const SHOWN: usize = 40;
    if digits.len() > SHOWN { format!("{}... ({} digits)", &digits[..SHOWN], digits.len()) } else { digits.to_owned() }
}
