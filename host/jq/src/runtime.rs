//! The runtime of a metered program: its natives and the steps of a run.

use jaq_core::box_iter::box_once;
use jaq_core::data::HasLut;
use jaq_core::native::{Fun, bome, v};
use jaq_core::{DataT, Error, Exn, Lut, Native, ValT as _};
use jaq_json::{Num, Val};
use jaq_std::ValT as _;
use std::cell::Cell;

/// How deep values may be: no value is deeper, so that nothing that goes through one needs much of a stack.
pub(super) const DEPTH_MAX: usize = 100;
/// Bytes of a text that count as one step: cut into its characters, each takes some 80 bytes.
const STEP_BYTES: usize = 4;
/// Bytes of the longest text that `*` makes.
const REPEATED_BYTES_MAX: usize = 256 * 1024;

/// The steps that a run has left.
pub(super) struct Budget {
    left: Cell<u64>,
    used_up: Cell<bool>,
}

impl Budget {
    pub(super) fn new(steps: u64) -> Self {
        Self { left: Cell::new(steps), used_up: Cell::new(false) }
    }

    /// Whether the run wanted more steps than it had; a program that catches the error does not hide it.
    pub(super) fn is_used_up(&self) -> bool {
        self.used_up.get()
    }

    fn spend(&self, steps: u64) -> bool {
        match self.left.get().checked_sub(steps) {
            Some(left) => self.left.set(left),
            None => {
                self.left.set(0);
                self.used_up.set(true);
            }
        }
        !self.used_up.get()
    }

    /// Spends a step for each value in a value, and for each 4 bytes of texts.
    fn measure(&self, value: &Val, depth_left: usize) -> bool {
        let Some(depth_left) = depth_left.checked_sub(1) else {
            self.used_up.set(true);
            return false;
        };
        let text_steps = |bytes: usize| u64::try_from(bytes / STEP_BYTES).unwrap_or(u64::MAX).saturating_add(1);
        match value {
            Val::Null | Val::Bool(_) | Val::Num(Num::Int(_) | Num::Float(_)) => self.spend(1),
            Val::Num(Num::BigInt(integer)) => self.spend(integer_steps(integer.bits())),
            Val::Num(Num::Dec(digits)) => self.spend(text_steps(digits.len())),
            Val::BStr(text) | Val::TStr(text) => self.spend(text_steps(text.len())),
            Val::Arr(items) => self.spend(1) && items.iter().all(|item| self.measure(item, depth_left)),
            Val::Obj(members) => {
                let member =
                    |(key, value): (&Val, &Val)| self.measure(key, depth_left) && self.measure(value, depth_left);
                self.spend(1) && members.iter().all(member)
            }
        }
    }
}

/// The steps of an integer of so many bits: as many as of a text of its bytes, and a share of their square, by which
/// the time grows that it takes to write it.
fn integer_steps(bits: u64) -> u64 {
    let words = bits.div_ceil(64);
    words.saturating_mul(words).saturating_div(64).saturating_add(words.saturating_mul(2)).saturating_add(1)
}

/// The kind of values and data that programs run with.
pub(super) struct Metered;

/// The data of the natives of a run.
#[derive(Clone, Copy)]
pub(super) struct RunData<'a> {
    pub(super) lut: &'a Lut<Metered>,
    pub(super) budget: &'a Budget,
}

impl DataT for Metered {
    type V<'a> = Val;
    type Data<'a> = RunData<'a>;
}

impl<'a> HasLut<'a, Metered> for RunData<'a> {
    fn lut(&self) -> &'a Lut<Metered> {
        self.lut
    }
}

fn used_up<'a>() -> Exn<'a, Val> {
    Exn::from(Error::str("too many steps"))
}

/// The natives that the meter calls, and those that are bounded versions of jaq's.
pub(super) fn natives() -> [Fun<Metered>; 5] {
    let step = Native::<Metered>::new(|cv| {
        let goes_on = cv.0.data().budget.spend(1);
        box_once(if goes_on { Ok(cv.1) } else { Err(used_up()) })
    })
    .with_paths(|cv| {
        let goes_on = cv.0.data().budget.spend(1);
        box_once(if goes_on { Ok(cv.1) } else { Err(used_up()) })
    })
    .with_update(|cv, update| if cv.0.data().budget.spend(1) { update(cv.1) } else { box_once(Err(used_up())) });
    let measure = Native::<Metered>::new(|cv| {
        let goes_on = cv.0.data().budget.measure(&cv.1, DEPTH_MAX);
        box_once(if goes_on { Ok(cv.1) } else { Err(used_up()) })
    })
    .with_paths(|cv| {
        let goes_on = cv.0.data().budget.measure(&cv.1.0, DEPTH_MAX);
        box_once(if goes_on { Ok(cv.1) } else { Err(used_up()) })
    })
    .with_update(|cv, update| {
        if cv.0.data().budget.measure(&cv.1, DEPTH_MAX) { update(cv.1) } else { box_once(Err(used_up())) }
    });
    let multiply = Native::<Metered>::new(|mut cv| {
        let right = cv.0.pop_var();
        let left = cv.0.pop_var();
        bome(multiply(left, right))
    });
    let key = Native::<Metered>::new(|cv| {
        let is_key = !matches!(cv.1, Val::Arr(_) | Val::Obj(_));
        bome(if is_key { Ok(cv.1) } else { Err(Error::str("an index must be a text or a number")) })
    });
    let to_number = Native::<Metered>::new(|cv| bome(to_number(cv.1)));
    [
        ("elias_step", v(0), step),
        ("elias_measure", v(0), measure),
        ("elias_multiply", v(2), multiply),
        ("elias_key", v(0), key),
        ("tonumber", v(0), to_number),
    ]
}

/// `*` with a bound: texts are repeated up to 256 KiB, and the product of large integers is a floating-point number.
fn multiply(left: Val, right: Val) -> Result<Val, Error<Val>> {
    let (text, times) = match (left.as_bytes(), right.as_bytes()) {
        (Some(text), None) => (text.len(), right.as_f64()),
        (None, Some(text)) => (text.len(), left.as_f64()),
        _ => (0, None),
    };
    if let Some(times) = times {
        // The product of two lengths, which no number that is out of bounds passes for a small one.
        let bytes = text as f64 * times;
        if bytes > REPEATED_BYTES_MAX as f64 {
            return Err(Error::str(format!("a text must be repeated up to {REPEATED_BYTES_MAX} bytes at most")));
        }
    }
    match (&left, &right) {
        (Val::Num(Num::BigInt(_)), Val::Num(_)) | (Val::Num(_), Val::Num(Num::BigInt(_))) => {
            Ok(Val::from(left.as_f64().unwrap_or(f64::NAN) * right.as_f64().unwrap_or(f64::NAN)))
        }
        _ => left * right,
    }
}

/// The number that a text is, as JSON writes it.
fn to_number(value: Val) -> Result<Val, Error<Val>> {
    if matches!(value, Val::Num(_)) {
        return Ok(value);
    }
    let text = value.as_utf8_bytes().and_then(|bytes| std::str::from_utf8(bytes).ok()).map(str::trim);
    let number = text.filter(|text| text.len() <= 64).and_then(|text| text.parse::<serde_json::Number>().ok());
    match number {
        Some(number) => Val::from_num(&number.to_string()),
        None => Err(Error::str("cannot parse as number")),
    }
}
