//! The capability `geo`: all that one takes, outside of ELIAS's own crates.

use elias_host::capability::pricing::{Price, size};
use elias_host::capability::wasmtime::StoreContextMut;
use elias_host::capability::{
    Amount, Capability, ComponentInfo, ConfigureError, HostLinker, InstanceInfo, InstanceState, wasmtime,
};
use elias_host::grants;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Units of fuel of a question and of a byte of its name; ten are a nanosecond of the host's work.
const QUESTION: u64 = 5_000;
const BYTE: u64 = 10;

/// Bytes of a place's name, as JSON. A component that asks for a longer one is ended.
const NAME_BYTES_MAX: u64 = 1024;

/// Says where places are.
pub(crate) struct Geo;

/// What one component was granted: the places that it may ask for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GeoGrant {
    places: BTreeMap<String, (f64, f64)>,
    /// Questions that one instance may ask.
    #[serde(default = "questions")]
    questions: u32,
}

fn questions() -> u32 {
    100
}

/// What one instance has of it.
pub(crate) struct GeoContext {
    grant: Arc<GeoGrant>,
    questions_left: u32,
}

impl Capability for Geo {
    type Grant = GeoGrant;
    type Context = GeoContext;

    fn name(&self) -> &'static str {
        "geo"
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["example:geo/places"]
    }

    /// A platform bounds what its tenants ask for.
    fn amounts(&self) -> &'static [Amount] {
        &[Amount { key: "questions", default: 100, ceiling: 1_000 }]
    }

    /// Where places are is no amount of anything.
    fn is_data(&self, key: &str) -> bool {
        key == "places"
    }

    fn init(&self, linker: &mut HostLinker) -> wasmtime::Result<()> {
        // A question is paid before it is answered: so much for each, and for each byte of a name, which has a bound.
        let name = size("bytes of the name", |(name,): &(String,)| name.len() as u64).at_most(NAME_BYTES_MAX);
        linker.interface("example:geo/places@1.0.0")?.func(
            "find",
            Price::of(QUESTION).per(BYTE, name),
            |mut store: StoreContextMut<'_, InstanceState>, (name,): (String,)| {
                let context = store.data_mut().context::<Self>();
                let Some(left) = context.questions_left.checked_sub(1) else {
                    return Err(wasmtime::format_err!("the instance asked too many questions"));
                };
                context.questions_left = left;
                let name: String = serde_json::from_str(&name).unwrap_or_default();
                let place = context.grant.places.get(&name);
                Ok((place
                    .map_or(Value::Null, |(latitude, longitude)| Value::from(vec![*latitude, *longitude]))
                    .to_string(),))
            },
        )
    }

    async fn configure(&self, _: &ComponentInfo, granted: Option<&Value>) -> Result<GeoGrant, ConfigureError> {
        grants::parse(granted)
    }

    fn prepare(&self, _: &InstanceInfo, grant: &Arc<GeoGrant>) -> GeoContext {
        GeoContext { grant: Arc::clone(grant), questions_left: grant.questions }
    }
}
