//! A Rust service that gives components a capability of its own.
//!
//! `elias-build src/places.js` makes a component of `places.js`, whose elias.toml names `wit/geo.wit` (without one:
//! `--capability wit/geo.wit`); `cargo run -p embed-capability -- places.wasm` runs it.

mod geo;

use elias_host::{Grants, Host, LoadOptions};
use geo::Geo;
use serde_json::json;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let component = std::env::args().nth(1).unwrap_or_else(|| "places.wasm".into());
    // #region host
    let host = Host::builder().capability(Geo).build()?;
    // #endregion host

    // Without a grant it is refused before it runs.
    if let Err(error) = host.load_file(component.as_ref()).await {
        println!("{}: {error}", error.code());
    }

    // #region grant
    let places = json!({
        "Paris": { "latitude": 48.86, "longitude": 2.35 },
        "London": { "latitude": 51.51, "longitude": -0.13 },
        "Tokyo": { "latitude": 35.68, "longitude": 139.69 },
    });
    let grants = Grants::none().with("geo", json!({ "places": places }));
    let app = host.load_file_with(component.as_ref(), &LoadOptions { grants, ..LoadOptions::default() }).await?;
    // #endregion grant
    for input in [json!("Paris"), json!("Atlantis"), json!({ "latitude": 99, "longitude": 0 })] {
        println!("{input}: {}", app.call(&input).await?.value);
    }
    Ok(())
}
