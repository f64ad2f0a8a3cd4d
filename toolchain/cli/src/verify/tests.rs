//! Tests of `elias verify`.

use super::*;
use elias_contract::note::SigningKey;
use elias_transparency::{ENTRY_FORMAT, LogEntry, TilePath, append, checkpoint, entry_bundle, hash_tile};
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;

/// A component with nothing in it.
const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

fn key(name: &str, seed: u8) -> SigningKey {
    SigningKey::from_seed(name, &[seed; 32]).unwrap()
}

/// A folder with the signed component `app.wasm` and a log, `log`, of `entries` files, of which the component is the
/// first.
fn folder(entries: &[&[u8]]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("app.wasm"), EMPTY).unwrap();
    std::fs::write(folder.path().join("app.wasm.sig"), signature::sign(&[key("team", 1)], EMPTY).unwrap()).unwrap();
    write_log(&folder.path().join("log"), entries);
    folder
}

fn write_log(folder: &Path, entries: &[&[u8]]) {
    let (mut known, mut records, mut root) = (HashMap::new(), Vec::new(), None);
    for (number, file) in (0..).zip(entries) {
        let entry = LogEntry {
            format: ENTRY_FORMAT,
            tenant: "acme".into(),
            component: "shop".into(),
            version: number + 1,
            sha256: elias_contract::digest(file),
            manifest: None,
            settings: Some(elias_contract::digest(b"settings")),
            signers: vec![],
            time: 0,
        };
        records.push(entry.to_bytes().unwrap());
        let appended = append(number, records.last().unwrap(), &known).unwrap();
        known.extend(appended.stored);
        root = Some(appended.root);
    }
    let size = records.len() as u64;
    let write = |path: &str, bytes: Vec<u8>| {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    let tile = TilePath::parse(&format!("tile/0/000.p/{size}")).unwrap();
    let elias_transparency::TileNeeds::Hashes(indexes) = tile.needs(size).unwrap() else { unreachable!() };
    write(&tile.to_string(), hash_tile(&indexes.iter().map(|index| known[index]).collect::<Vec<_>>()));
    write(&format!("tile/entries/000.p/{size}"), entry_bundle(records.iter().map(Vec::as_slice)).unwrap());
    write(
        "checkpoint",
        checkpoint::sign("example.com/log", size, root.unwrap(), &[key("example.com/log", 2)]).unwrap().into(),
    );
}

fn arguments(folder: &Path, signer: &SigningKey, log: &str) -> VerifyArguments {
    VerifyArguments {
        component: Some(folder.join("app.wasm")),
        signature: None,
        keys: vec![signer.verifying_key().to_string()],
        log: Some(log.to_owned()),
        log_keys: vec![key("example.com/log", 2).verifying_key().to_string()],
        state: Some(folder.join("seen")),
        json: false,
    }
}

/// The result of each check: its name, and `good` or the code.
fn outcomes(arguments: &VerifyArguments) -> Vec<(&'static str, &'static str)> {
    let keys = parse_keys(&arguments.keys, "--key").unwrap();
    let path = arguments.component.as_deref().unwrap();
    let bytes = std::fs::read(path).unwrap();
    let outcome = check_signature(path, &bytes, arguments.signature.as_deref(), &keys).unwrap();
    let source = source(arguments.log.as_deref().unwrap()).unwrap();
    let log_keys = parse_keys(&arguments.log_keys, "--log-key").unwrap();
    let digest = elias_contract::digest(&bytes);
    let mut checks = vec![Check { name: "signature", outcome }];
    checks.extend(check_log(source.as_ref(), &log_keys, Some(&digest), arguments.state.as_deref()));
    checks
        .iter()
        .map(|check| match check.outcome {
            Outcome::Good { .. } => (check.name, "good"),
            Outcome::Skipped(_) => (check.name, "skipped"),
            Outcome::Bad { code, .. } => (check.name, code),
        })
        .collect()
}

/// Serves a folder's files until the test ends; gives the URL.
fn serve(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let line = lines.next().unwrap_or_default();
            lines.find(String::is_empty);
            let path = line.split(' ').nth(1).unwrap_or_default().trim_start_matches("/prefix/").to_owned();
            let (status, body) =
                std::fs::read(folder.join(path)).map_or(("404 Not Found", vec![]), |body| ("200 OK", body));
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    format!("http://{address}/prefix/")
}

#[test]
fn a_signed_and_logged_component_is_good_from_a_folder_and_from_a_server() {
    let folder = folder(&[EMPTY, b"other"]);
    let good = [("signature", "good"), ("checkpoint", "good"), ("inclusion", "good"), ("consistency", "good")];
    let log = folder.path().join("log");
    for log in [log.display().to_string(), serve(log)] {
        let arguments = arguments(folder.path(), &key("team", 1), &log);
        assert_eq!(outcomes(&arguments), good, "{log}");
        assert_eq!(verify(&arguments).unwrap(), ExitCode::SUCCESS);
        let all = VerifyArguments { component: None, keys: vec![], ..arguments };
        assert_eq!(verify(&all).unwrap(), ExitCode::SUCCESS, "without a component the whole log is read");
    }
    write_log(&folder.path().join("log"), &[EMPTY, b"other", b"third"]);
    assert_eq!(outcomes(&arguments(folder.path(), &key("team", 1), folder.path().join("log").to_str().unwrap())), good);
}

#[test]
fn what_is_wrong_is_told_by_the_check_that_found_it() {
    let folder = folder(&[EMPTY, b"other"]);
    let log = folder.path().join("log");
    let log = log.to_str().unwrap();
    let right = || arguments(folder.path(), &key("team", 1), log);
    assert_eq!(verify(&right()).unwrap(), ExitCode::SUCCESS);
    let other_signer = arguments(folder.path(), &key("team", 5), log);
    assert_eq!(outcomes(&other_signer)[0], ("signature", "unknown-key"));
    assert_eq!(verify(&other_signer).unwrap(), ExitCode::FAILURE);
    let unsigned = VerifyArguments { signature: Some(folder.path().join("none")), ..right() };
    assert_eq!(outcomes(&unsigned)[0], ("signature", "no-signature"));
    let wrong_log_key =
        VerifyArguments { log_keys: vec![key("example.com/log", 7).verifying_key().to_string()], ..right() };
    assert_eq!(outcomes(&wrong_log_key)[1..], [("checkpoint", "unknown-key")]);
    for nowhere in ["http://127.0.0.1:1/", "no/such/folder"] {
        assert_eq!(
            outcomes(&arguments(folder.path(), &key("team", 1), nowhere))[1..],
            [("checkpoint", "log-unavailable")]
        );
    }
    write_log(Path::new(log), &[b"rewritten", EMPTY, b"third"]);
    let found = outcomes(&right());
    assert_eq!(found[2..], [("inclusion", "good"), ("consistency", "log-forked")]);
    write_log(Path::new(log), &[b"rewritten", b"other", b"third"]);
    assert_eq!(outcomes(&right())[2], ("inclusion", "not-in-log"));
    write_log(Path::new(log), &[EMPTY]);
    assert_eq!(outcomes(&right())[2..], [("inclusion", "good"), ("consistency", "log-shrunk")]);
    std::fs::write(folder.path().join("app.wasm"), b"something else").unwrap();
    assert_eq!(outcomes(&right())[0], ("signature", "digest-mismatch"));
}

#[test]
fn a_report_has_a_line_or_a_member_for_each_check_and_the_evidence() {
    let folder = folder(&[EMPTY, b"other"]);
    let keys = [key("example.com/log", 2).verifying_key()];
    let log = Directory::new(folder.path().join("log"));
    let digest = elias_contract::digest(EMPTY);
    let state = folder.path().join("seen");
    let checks = check_log(&log, &keys, Some(&digest), Some(&state));
    let text = to_text(&checks);
    assert!(text.contains("inclusion    good: entry 0 of 2: version 1 of shop (tenant acme)"), "{text}");
    let json = to_json(&checks, true);
    assert_eq!((&json["inclusion"]["index"], &json["inclusion"]["entry"]["version"]), (&json!(0), &json!(1)));
    assert_eq!((&json["consistency"]["from"], &json["consistency"]["to"]), (&json!(null), &json!(2)));
    let before = std::fs::read_to_string(&state).unwrap();
    write_log(&folder.path().join("log"), &[b"rewritten"]);
    let checks = check_log(&log, &keys, Some(&digest), Some(&state));
    assert_eq!(to_json(&checks, false)["consistency"]["checkpoint-seen"], json!(before));
    let text = to_text(&checks);
    assert!(text.contains("consistency  FAILED [log-shrunk]") && text.contains(&before), "{text}");
}

#[test]
fn nothing_to_check_is_said_and_not_taken_for_good() {
    let folder = folder(&[EMPTY]);
    let nothing = |component| VerifyArguments {
        component,
        signature: None,
        keys: vec![],
        log: None,
        log_keys: vec![],
        state: None,
        json: false,
    };
    for component in [None, Some(folder.path().join("app.wasm"))] {
        assert!(verify(&nothing(component)).unwrap_err().to_string().contains("nothing-to-check"));
    }
    let secret = VerifyArguments { keys: vec![key("team", 1).to_text()], ..nothing(None) };
    let said = verify(&secret).unwrap_err().to_string();
    assert!(said.contains("bad-key") && !said.contains("PRIVATE+KEY+team"), "{said}");
}

#[test]
fn a_log_is_not_read_without_its_key() {
    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        arguments: VerifyArguments,
    }
    let parse = |words: &[&str]| <Program as clap::Parser>::try_parse_from(words).map(|program| program.arguments.json);
    for words in
        ["v a --key k", "v a --key k --key l --signature s --json", "v --log l --log-key k --log-key m --state s"]
    {
        assert!(parse(&words.split(' ').collect::<Vec<_>>()).is_ok(), "{words}");
    }
    for words in ["v a --log l", "v a --log-key k", "v a --state s", "v a --signature s"] {
        assert!(parse(&words.split(' ').collect::<Vec<_>>()).is_err(), "{words}");
    }
}
