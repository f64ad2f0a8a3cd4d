//! The capability `geo`: all that one takes, outside of ELIAS's own crates.

use elias_host::capability::pricing::{Payload, Price, size, size_of_state};
use elias_host::capability::wasmtime::StoreContextMut;
use elias_host::capability::wasmtime::component::{ComponentType, Lift, Lower};
use elias_host::capability::{
    Amount, Capability, ComponentInfo, ConfigureError, HostLinker, InstanceInfo, InstanceState, wasmtime,
};
use elias_host::grants;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Units of fuel of a question, of a byte of its name, and of a place that is looked at; ten are a nanosecond of the
/// host's work.
const QUESTION: u64 = 5_000;
const BYTE: u64 = 10;
const PLACE: u64 = 1_000;

/// Bytes of a place's name. A component that asks for a longer one is ended.
const NAME_BYTES_MAX: u64 = 1024;

/// Places that a component may be granted.
const PLACES_MAX: usize = 1_000;

/// Metres.
const EARTH_RADIUS: f64 = 6_371_000.0;

// #region types
/// `example:geo/places.place`.
#[derive(Debug, Clone, Copy, ComponentType, Lift, Lower, Deserialize)]
#[component(record)]
pub(crate) struct Place {
    latitude: f64,
    longitude: f64,
}

/// `example:geo/places.neighbour`.
#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct Neighbour {
    name: String,
    place: Place,
    distance: f64,
}

// The call pays for arguments of a fixed size; a name is paid by its bytes.
impl Payload for Place {}
// #endregion types

impl Payload for Neighbour {
    fn units(&self) -> u64 {
        self.name.units()
    }
}

impl Place {
    /// Metres to another place, by the haversine formula.
    fn distance(self, other: Self) -> f64 {
        let (latitude, other_latitude) = (self.latitude.to_radians(), other.latitude.to_radians());
        let between = |a: f64, b: f64| ((a - b) / 2.0).sin().powi(2);
        let longitudes = between(self.longitude.to_radians(), other.longitude.to_radians());
        let chord = between(latitude, other_latitude) + latitude.cos() * other_latitude.cos() * longitudes;
        2.0 * EARTH_RADIUS * chord.sqrt().min(1.0).asin()
    }
}

/// Says where places are.
pub(crate) struct Geo;

// #region state
/// The grant of one component: the places that it may ask for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GeoGrant {
    places: BTreeMap<String, Place>,
    /// Questions that one instance may ask.
    #[serde(default = "questions")]
    questions: u32,
}

fn questions() -> u32 {
    100
}

/// The state of one instance.
pub(crate) struct GeoContext {
    grant: Arc<GeoGrant>,
    questions_left: u32,
}

impl GeoContext {
    /// Counts a question, and gives the places.
    fn ask(&mut self) -> wasmtime::Result<&BTreeMap<String, Place>> {
        let left = self.questions_left.checked_sub(1);
        self.questions_left = left.ok_or_else(|| wasmtime::format_err!("the instance asked too many questions"))?;
        Ok(&self.grant.places)
    }
}
// #endregion state

// #region name
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

    /// The places are data and not an amount.
    fn is_data(&self, key: &str) -> bool {
        key == "places"
    }
    // #endregion name

    // #region init
    fn init(&self, linker: &mut HostLinker) -> wasmtime::Result<()> {
        let mut places = linker.interface("example:geo/places@1.0.0")?;

        // A question is paid before it is answered: so much for each, and for each byte of a name, which has a bound.
        let name = size("bytes of the name", |(name,): &(String,)| name.len() as u64).at_most(NAME_BYTES_MAX);
        places.func(
            "find",
            Price::of(QUESTION).per(BYTE, name),
            |mut store: StoreContextMut<'_, InstanceState>, (name,): (String,)| {
                let places = store.data_mut().context::<Self>().ask()?;
                Ok((places.get(&name).copied(),))
            },
        )?;
        // #endregion init

        // All places are looked at, however few are wanted.
        let granted = size_of_state("granted places", |state, _: &(Place, u32)| {
            state.context::<Self>().grant.places.len() as u64
        });
        places.func(
            "nearest",
            Price::of(QUESTION).per(PLACE, granted.at_most(PLACES_MAX as u64)),
            |mut store: StoreContextMut<'_, InstanceState>, (to, limit): (Place, u32)| {
                let places = store.data_mut().context::<Self>().ask()?;
                if !(-90.0..=90.0).contains(&to.latitude) {
                    return Ok((Err(format!("the latitude must be between -90 and 90, not {}", to.latitude)),));
                }
                let neighbour = |(name, place): (&String, &Place)| Neighbour {
                    name: name.clone(),
                    place: *place,
                    distance: to.distance(*place),
                };
                let mut neighbours: Vec<Neighbour> = places.iter().map(neighbour).collect();
                neighbours.sort_by(|a, b| a.distance.total_cmp(&b.distance));
                neighbours.truncate(limit as usize);
                Ok((Ok::<_, String>(neighbours),))
            },
        )
    }

    // #region configure
    async fn configure(&self, _: &ComponentInfo, granted: Option<&Value>) -> Result<GeoGrant, ConfigureError> {
        let grant: GeoGrant = grants::parse(granted)?;
        if grant.places.len() > PLACES_MAX {
            return Err(ConfigureError::Invalid(format!("there may be at most {PLACES_MAX} places")));
        }
        Ok(grant)
    }

    fn prepare(&self, _: &InstanceInfo, grant: &Arc<GeoGrant>) -> GeoContext {
        GeoContext { grant: Arc::clone(grant), questions_left: grant.questions }
    }
    // #endregion configure
}
