//! A Rust service that gives components a capability of its own: `cargo run -p embed-capability`.

mod geo;

use elias_host::{Grants, Host, LoadOptions};
use geo::Geo;
use serde_json::json;

/// A component that imports `example:geo/places`, by hand; any toolchain that speaks WIT makes such ones.
const COMPONENT: &str = include_str!("component.wat");

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let component = wat::parse_str(COMPONENT)?;
    let host = Host::builder().capability(Geo).build()?;

    // Without a grant it is refused before it runs.
    if let Err(error) = host.load(&component).await {
        println!("{}: {error}", error.code());
    }

    let grants = Grants::none().with("geo", json!({ "places": { "Paris": [48.86, 2.35] } }));
    let app = host.load_with(&component, &LoadOptions { grants, ..LoadOptions::default() }).await?;
    for place in ["Paris", "Atlantis"] {
        println!("{place}: {}", app.call(&json!(place)).await?.value);
    }
    Ok(())
}
