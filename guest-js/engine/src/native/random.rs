//! Randomness: `Math.random` and the cryptographic source behind `crypto`.

use super::bytes::{overwrite, room_in};
use super::require;
use crate::bindings::wasi::random::random;
use crate::build_report;
use crate::phase::{self, Import};
use javy::quickjs::{Ctx, Exception, Function, Object, Result, TypedArray};
use std::cell::{Cell, RefCell};

/// The state of `Math.random`. In the build phase it runs from a constant; each instance, and each turn of a worker,
/// seeds it anew on first use.
struct State {
    words: Cell<[u64; 2]>,
    seeded: Cell<bool>,
}

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for State {}

static STATE: State =
    State { words: Cell::new([0x853c_49e6_748f_ea9b, 0xda3e_39cb_94b9_5bdb]), seeded: Cell::new(false) };

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    native.set(
        "randomFill",
        Function::new(native.ctx().clone(), |ctx: Ctx<'_>, bytes: TypedArray<'_, u8>| {
            if phase::building() {
                match of_build(room_in(&bytes)) {
                    Some(Ok(fresh)) => {
                        build_report::random_was_drawn(&ctx);
                        overwrite(&bytes, &fresh);
                        return Ok(());
                    }
                    Some(Err(())) => {
                        let message = "the top level draws more random bytes than a build has, which are 65536";
                        return Err(Exception::throw_message(&ctx, message));
                    }
                    None => {}
                }
                return Err(Exception::throw_message(
                    &ctx,
                    "cryptographic randomness at the top level: it runs once, during the build, and every instance \
                     would share the value; move it into a handler",
                ));
            }
            require(&ctx, Import::Random, "crypto")?;
            overwrite(&bytes, &random::get_random_bytes(room_in(&bytes) as u64));
            Ok(())
        })?,
    )
}

pub(crate) fn replace_math_random(ctx: &Ctx<'_>) -> Result<()> {
    let math: Object<'_> = ctx.globals().get("Math")?;
    let random = Function::new(ctx.clone(), |ctx: Ctx<'_>| {
        if phase::building() {
            if BUILD.bytes.borrow().is_some() {
                build_report::random_was_drawn(&ctx);
            } else {
                build_report::random_was_read(&ctx);
            }
        } else if !STATE.seeded.get() {
            require(&ctx, Import::Random, "Math.random")?;
            STATE.words.set([random::get_random_u64(), random::get_random_u64() | 1]);
            STATE.seeded.set(true);
        }
        Ok::<f64, javy::quickjs::Error>(next())
    })?;
    random.set_name("random")?;
    math.set("random", random)
}

/// Makes the next call of `Math.random` take a new seed: a worker's memory, which may be copied, keeps none.
pub(crate) fn forget_seed() {
    STATE.words.set([0; 2]);
    STATE.seeded.set(false);
}

/// The source of the top level's random numbers, if `[build] random` lets it: bytes that the build brings along, for
/// the engine has no generator that is fit for keys.
struct Build {
    bytes: RefCell<Option<Vec<u8>>>,
}

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Build {}

static BUILD: Build = Build { bytes: RefCell::new(None) };

/// Lets the top level draw random values from these bytes, in hexadecimal; without any it may not.
pub(crate) fn allow_at_build(hexadecimal: &str) {
    let digits = hexadecimal.as_bytes().chunks_exact(2);
    let bytes: Vec<u8> =
        digits.filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    if bytes.is_empty() {
        return;
    }
    BUILD.bytes.replace(Some(bytes));
    if let Some(Ok(fresh)) = of_build(16) {
        let word = |at: usize| fresh[at..at + 8].iter().fold(0_u64, |all, &byte| all << 8 | u64::from(byte));
        STATE.words.set([word(0), word(8) | 1]);
    }
}

/// Ends that. What was not drawn does not get into the snapshot.
pub(crate) fn forget_build() {
    if let Some(mut bytes) = BUILD.bytes.take() {
        bytes.fill(0);
    }
}

/// `length` of the build's random bytes: none where the top level may not draw, an error where not as many are left.
fn of_build(length: usize) -> Option<std::result::Result<Vec<u8>, ()>> {
    let mut bytes = BUILD.bytes.borrow_mut();
    let bytes = bytes.as_mut()?;
    let rest = bytes.len().checked_sub(length);
    Some(rest.map(|rest| bytes.split_off(rest)).ok_or(()))
}

/// xorshift128+ (Vigna, 2014), what browsers use for `Math.random`: fast, and not for secrets.
fn next() -> f64 {
    let [mut a, b] = STATE.words.get();
    a ^= a << 23;
    a ^= a >> 17;
    a ^= b ^ (b >> 26);
    STATE.words.set([b, a]);
    (a.wrapping_add(b) >> 11) as f64 / (1_u64 << 53) as f64
}
