//! `[build] locales`: Intl in other locales than English.

use elias_tests::build::Project;
use elias_tests::serve::Server;
use serde_json::{Value, json};

const SOURCE: &str = r#"
const made = new Intl.DateTimeFormat("pl", { dateStyle: "long", timeZone: "UTC" });
export default {
  fetch() {
    const date = new Date(Date.UTC(2024, 0, 2, 15, 4, 5));
    const plural = new Intl.PluralRules("pl");
    const compact = { notation: "compact", compactDisplay: "long" };
    const day = { weekday: "long", month: "long", day: "numeric" };
    const hour = { timeZone: "Europe/Berlin", timeZoneName: "long", hour: "numeric" };
    const tags = ["pl-PL", "de-LU", "de-AT", "zh-TW", "zh-HK", "fr", "it", "en-GB", undefined];
    return Response.json({
      number: [(1234567.891).toLocaleString("de"), new Intl.NumberFormat("fr", compact).format(2e6)],
      money: new Intl.NumberFormat("de-AT", { style: "currency", currency: "EUR" }).format(1234.5),
      date: [made.format(date), date.toLocaleDateString("de-DE", day), date.toLocaleTimeString("zh-TW")],
      plurals: [1, 2, 5, 22].map((number) => plural.select(number)),
      relative: new Intl.RelativeTimeFormat("pl", { numeric: "auto" }).format(-1, "day"),
      list: new Intl.ListFormat("de").format(["a", "b", "c"]),
      names: new Intl.DisplayNames("pl", { type: "region" }).of("DE"),
      zone: new Intl.DateTimeFormat("de", hour).format(date),
      order: ["łan", "lato", "mak"].sort((a, b) => a.localeCompare(b, "pl")),
      locales: tags.map((tag) => new Intl.NumberFormat(tag).resolvedOptions().locale),
      supported: Intl.Collator.supportedLocalesOf(["de-LU", "it", "zh-HK", "zh-CN"]),
    });
  },
};
"#;

async fn answers(project: &Project, more: &[&str]) -> Value {
    let output = project.elias_build(&[&["index.js", "-o", "app.wasm"], more].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let wasm = std::fs::read(project.path("app.wasm")).expect("it was built");
    Server::start(&wasm, &[]).get("/").await.json()
}

#[tokio::test]
async fn intl_has_the_locales_that_the_build_names() {
    let config = "[build]\nlocales = [\"de\", \"de-AT\", \"fr\", \"pl\", \"zh-Hant\"]\n";
    let project = Project::new(&[("index.js", SOURCE), ("elias.toml", config)]);
    let found = answers(&project, &[]).await;
    assert_eq!(found["number"], json!(["1.234.567,891", "2 millions"]));
    assert_eq!(found["money"], json!("€\u{a0}1.234,50"));
    assert_eq!(found["date"], json!(["2 stycznia 2024", "Dienstag, 2. Januar", "下午3:04:05"]));
    assert_eq!(found["plurals"], json!(["one", "few", "many", "few"]));
    assert_eq!(found["relative"], json!("wczoraj"));
    assert_eq!(found["list"], json!("a, b und c"));
    assert_eq!(found["names"], json!("Niemcy"));
    assert_eq!(found["zone"], json!("16 Uhr Mitteleuropäische Normalzeit"));
    assert_eq!(found["order"], json!(["lato", "łan", "mak"]));
    let locales = json!(["pl-PL", "de", "de-AT", "zh-TW", "zh-Hant", "fr", "en-US", "en", "en-US"]);
    assert_eq!(found["locales"], locales);
    assert_eq!(found["supported"], json!(["de-LU", "zh-HK"]));
}

#[tokio::test]
async fn the_flag_goes_before_the_file_and_without_both_there_is_english() {
    let project = Project::new(&[("index.js", SOURCE), ("elias.toml", "[build]\nlocales = [\"pl\"]\n")]);
    let found = answers(&project, &["--locales", "de,fr"]).await;
    assert_eq!(found["number"][0], json!("1.234.567,891"));
    assert_eq!(found["relative"], json!("yesterday"));
    let large = std::fs::metadata(project.path("app.wasm")).expect("it is there").len();
    let project = Project::new(&[("index.js", SOURCE)]);
    let found = answers(&project, &[]).await;
    assert_eq!(found["number"], json!(["1,234,567.891", "2 million"]));
    assert_eq!(found["locales"], json!(["en-US", "en-US", "en-US", "en-US", "en-US", "en-US", "en-US", "en", "en-US"]));
    assert_eq!(found["supported"], json!([]));
    let small = std::fs::metadata(project.path("app.wasm")).expect("it is there").len();
    assert!(small + 50_000 < large, "{small} {large}");
}

#[test]
fn a_locale_that_there_is_not_is_refused_with_those_that_are_near() {
    let config = "[build]\nlocales = [\"de\", \"de-XX\"]\n";
    let project = Project::new(&[("index.js", SOURCE), ("elias.toml", config)]);
    let output = project.elias_build(&["index.js", "-o", "app.wasm"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for wanted in ["unknown-locale", "elias.toml:2:", "`de-XX`", "de-AT"] {
        assert!(said.contains(wanted), "{wanted} is missing in:\n{said}");
    }
    let output = project.elias_build(&["index.js", "--config", "none.toml", "--locales", "klingon"]);
    assert_eq!(output.status.code(), Some(1));
    let project = Project::new(&[("index.js", SOURCE)]);
    let output = project.elias_build(&["index.js", "--locales", "klingon"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("unknown-locale") && said.contains("`klingon`"), "{said}");
}
