//! The capability behind `values.wit`.

// The expansion of `flags!` is public, and only `Lift` constructs what a guest sends.
#![allow(unreachable_pub, missing_docs, dead_code)]

use elias_host::capability::pricing::{Payload, Price};
use elias_host::capability::{Capability, ComponentInfo, ConfigureError, HostLinker, InstanceInfo, InstanceState};
use serde_json::Value;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Lower, flags};

#[derive(Debug, Clone, ComponentType, Lift, Lower)]
#[component(record)]
struct Point {
    x: f64,
    y: f64,
}

#[derive(Debug, Clone, Copy, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
enum Colour {
    #[component(name = "red")]
    Red,
    #[component(name = "dark-green")]
    DarkGreen,
    #[component(name = "blue")]
    Blue,
}

flags! {
    Few {
        #[component(name = "a")]
        const A;
        #[component(name = "second-one")]
        const SECOND_ONE;
        #[component(name = "c")]
        const C;
    }
}

macro_rules! numbered {
    ($name:ident { $($flag:ident = $wit:tt),* $(,)? }) => {
        flags! { $name { $(#[component(name = $wit)] const $flag;)* } }
    };
}
numbered!(Nine {
    N0 = "n0", N1 = "n1", N2 = "n2", N3 = "n3", N4 = "n4", N5 = "n5", N6 = "n6", N7 = "n7", N8 = "n8",
});
numbered!(Most {
    F0 = "f0", F1 = "f1", F2 = "f2", F3 = "f3", F4 = "f4", F5 = "f5", F6 = "f6", F7 = "f7", F8 = "f8", F9 = "f9",
    F10 = "f10", F11 = "f11", F12 = "f12", F13 = "f13", F14 = "f14", F15 = "f15", F16 = "f16", F17 = "f17",
    F18 = "f18", F19 = "f19", F20 = "f20", F21 = "f21", F22 = "f22", F23 = "f23", F24 = "f24", F25 = "f25",
    F26 = "f26", F27 = "f27", F28 = "f28", F29 = "f29", F30 = "f30", F31 = "f31",
});

#[derive(Debug, Clone, ComponentType, Lift, Lower)]
#[component(variant)]
enum Shape {
    #[component(name = "empty")]
    Empty,
    #[component(name = "circle")]
    Circle(f64),
    #[component(name = "named-one")]
    NamedOne(String),
    #[component(name = "at")]
    At(Point),
    #[component(name = "many")]
    Many(Vec<String>),
}

#[derive(Debug, Clone, ComponentType, Lift, Lower)]
#[component(variant)]
enum Mixed {
    #[component(name = "byte")]
    Byte(u8),
    #[component(name = "single")]
    Single(f32),
    #[component(name = "long")]
    Long(i64),
    #[component(name = "double")]
    Double(f64),
    #[component(name = "text")]
    Text(String),
    #[component(name = "none")]
    None,
}

#[derive(Debug, Clone, ComponentType, Lift, Lower)]
#[component(record)]
struct Deep {
    name: String,
    #[component(name = "min-zoom")]
    min_zoom: Option<u8>,
    shapes: Vec<Shape>,
    #[component(name = "by-colour")]
    by_colour: Vec<(Colour, Option<Point>)>,
    outcome: Result<Vec<u16>, String>,
    #[component(name = "flags-of-it")]
    flags_of_it: Few,
}

macro_rules! wide {
    ($name:ident, $n:ty) => {
        #[derive(Debug, Clone, ComponentType, Lift, Lower)]
        #[component(record)]
        struct $name {
            a: u8,
            b: i8,
            c: u16,
            d: i16,
            e: u32,
            f: i32,
            g: u64,
            h: i64,
            i: f32,
            j: f64,
            k: bool,
            l: char,
            m: String,
            n: $n,
            o: u8,
        }
    };
}
wide!(Sixteen, u8);
wide!(Seventeen, String);

/// A test passes small values, which need not be paid for.
macro_rules! free {
    ($($ty:ty),* $(,)?) => { $(impl Payload for $ty {})* };
}
free!(Point, Colour, Few, Nine, Most, Shape, Mixed, Deep, Sixteen, Seventeen);

/// Gives back what it is given.
pub(super) struct Echo;

type Store<'a> = StoreContextMut<'a, InstanceState>;

impl Capability for Echo {
    type Grant = ();
    type Context = ();

    fn name(&self) -> &'static str {
        "echo"
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["example:echo/values", "example:echo/others"]
    }

    fn init(&self, linker: &mut HostLinker) -> wasmtime::Result<()> {
        linker.interface("example:echo/others@1.0.0")?.func("never-called", Price::call(), |_, (): ()| Ok((1_u32,)))?;
        let mut values = linker.interface("example:echo/values@1.0.0")?;
        macro_rules! echo {
            ($($name:literal: $ty:ty),* $(,)?) => {
                $(values.func($name, Price::call(), |_: Store<'_>, (a,): ($ty,)| Ok((a,)))?;)*
            };
        }
        echo! {
            "echo-bool": bool, "echo-u8": u8, "echo-s8": i8, "echo-u16": u16, "echo-s16": i16, "echo-u32": u32,
            "echo-s32": i32, "echo-u64": u64, "echo-s64": i64, "echo-f32": f32, "echo-f64": f64, "echo-char": char,
            "echo-string": String, "echo-bytes": Vec<u8>, "echo-numbers": Vec<u32>, "echo-longs": Vec<i64>,
            "echo-texts": Vec<String>, "echo-nested": Vec<Vec<Vec<u8>>>, "echo-option": Option<String>,
            "echo-option2": Option<Option<u32>>, "echo-option3": Option<Option<Option<String>>>,
            "echo-pair": (u8, String, Option<i64>), "echo-results": Vec<Result<u32, String>>, "echo-point": Point,
            "echo-colour": Colour, "echo-few": Few, "echo-nine": Nine, "echo-all": Most, "echo-shape": Shape,
            "echo-mixed": Mixed, "echo-deep": Deep, "echo-sixteen": Sixteen, "echo-seventeen": Seventeen,
        }
        macro_rules! show {
            ($($name:literal: $ty:ty),* $(,)?) => {
                $(values.func($name, Price::call(), |_: Store<'_>, (a,): ($ty,)| Ok((shown(&a),)))?;)*
            };
        }
        show! {
            "show-s8": i8, "show-s16": i16, "show-u64": u64, "show-f32": f32, "show-string": String,
            "show-option3": Option<Option<Option<String>>>, "show-mixed": Mixed, "show-deep": Deep,
            "show-sixteen": Sixteen, "show-seventeen": Seventeen,
        }
        values.func("show-all", Price::call(), |_: Store<'_>, (a,): (Most,)| Ok((shown(&a),)))?;
        values.func("show-both", Price::call(), |_: Store<'_>, (first, second): (Mixed, Sixteen)| {
            Ok((format!("{first:?} {second:?}"),))
        })?;
        macro_rules! check {
            ($($name:literal: $good:expr, $bad:expr, $ty:ty);* $(;)?) => {
                $(values.func($name, Price::call(), |_: Store<'_>, (good,): (bool,)| {
                    let outcome: $ty = if good { Ok($good) } else { Err($bad) };
                    Ok((outcome,))
                })?;)*
            };
        }
        check! {
            "check-text": "fine".to_owned(), "not fine: é".to_owned(), Result<String, String>;
            "check-nothing": (), (), Result<(), ()>;
            "check-colour": 7, Colour::DarkGreen, Result<u8, Colour>;
            "check-point": (), Point { x: 1.0, y: 2.0 }, Result<(), Point>;
            "check-shape": Point { x: 3.0, y: 4.0 }, Shape::NamedOne("odd".to_owned()), Result<Point, Shape>;
        }
        values.func("nothing", Price::call(), |_: Store<'_>, (): ()| Ok(()))?;
        values.func("give", Price::call(), |_: Store<'_>, (bytes,): (u32,)| Ok((vec![1_u8; bytes as usize],)))?;
        values.func_async("wait", Price::call(), |_: Store<'_>, (milliseconds,): (u32,)| {
            Box::new(async move {
                tokio::time::sleep(Duration::from_millis(milliseconds.into())).await;
                Ok(("waited".to_owned(),))
            })
        })?;
        values.func("break", Price::call(), |_: Store<'_>, (): ()| -> wasmtime::Result<(String,)> {
            Err(wasmtime::format_err!("the host's part is broken"))
        })
    }

    async fn configure(&self, _: &ComponentInfo, granted: Option<&Value>) -> Result<(), ConfigureError> {
        granted.map(drop).ok_or(ConfigureError::NotGranted)
    }

    fn prepare(&self, _: &InstanceInfo, _: &Arc<()>) {}
}

fn shown(value: &impl Debug) -> String {
    format!("{value:?}")
}
