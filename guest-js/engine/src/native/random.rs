//! Randomness: `Math.random` and the cryptographic source behind `crypto`.

use super::require;
use crate::bindings::wasi::random::random;
use crate::build;
use crate::phase::{self, Import};
use javy::quickjs::{Ctx, Exception, Function, Object, Result, TypedArray};
use std::cell::Cell;

/// The state of `Math.random`. In the build phase it runs from a constant; each instance seeds it anew on first use.
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
                return Err(Exception::throw_message(
                    &ctx,
                    "cryptographic randomness at the top level: it runs once, during the build, and every instance would \
                     share the value; move it into a handler",
                ));
            }
            require(&ctx, Import::Random, "crypto")?;
            let fresh = random::get_random_bytes(bytes.len() as u64);
            if let Some(raw) = bytes.as_raw() {
                // SAFETY: the buffer is the array's own and has the length asked for; JavaScript does not run meanwhile.
                unsafe { std::slice::from_raw_parts_mut(raw.ptr.as_ptr(), raw.len) }.copy_from_slice(&fresh);
            }
            Ok(())
        })?,
    )
}

pub(crate) fn replace_math_random(ctx: &Ctx<'_>) -> Result<()> {
    let math: Object<'_> = ctx.globals().get("Math")?;
    let random = Function::new(ctx.clone(), |ctx: Ctx<'_>| {
        if phase::building() {
            build::random_was_read(&ctx);
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

/// xorshift128+ (Vigna, 2014), what browsers use for `Math.random`: fast, and not for secrets.
fn next() -> f64 {
    let [mut a, b] = STATE.words.get();
    a ^= a << 23;
    a ^= a >> 17;
    a ^= b ^ (b >> 26);
    STATE.words.set([b, a]);
    (a.wrapping_add(b) >> 11) as f64 / (1_u64 << 53) as f64
}
