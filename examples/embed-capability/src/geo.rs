//! The capability `geo`: all that one takes, outside of ELIAS's own crates.

use elias_host::capability::wasmtime::StoreContextMut;
use elias_host::capability::{
    Capability, ComponentInfo, ConfigureError, InstanceInfo, InstanceState, Linker, wasmtime,
};
use elias_host::grants;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

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

    fn init(&self, linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
        linker.instance("example:geo/places@1.0.0")?.func_wrap(
            "find",
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
