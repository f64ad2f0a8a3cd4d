//! Integers of 64 bits between JavaScript and the host.

use javy::quickjs::{BigInt, Ctx, Exception, IntoJs, Result, Value};

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
    } else if let Some(big) = value.into_big_int() {
        return big.to_i64();
    }
    Err(Exception::throw_range(ctx, "an integer of at most 64 bits is needed"))
}
