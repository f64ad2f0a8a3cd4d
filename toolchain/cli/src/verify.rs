//! `elias verify`: whether a component is signed, is in a transparency log, and whether that log only grew.

mod http;

use clap::Args;
use elias_command_line::{CliErrorCode, Failure};
use elias_contract::note::{NOTE_BYTES_MAX, VerifyingKey};
use elias_contract::signature;
use elias_transparency::audit::{AuditError, Consistency, Directory, Fetch, Log, StateFile};
use http::Http;
use serde_json::{Map, Value, json};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The arguments of `verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// File of the component [default: check every entry of the log]
    component: Option<PathBuf>,
    /// File with the signature [default: the component's file with .sig]
    #[arg(long, value_name = "FILE", requires = "keys")]
    signature: Option<PathBuf>,
    /// Trusted verifier key, NAME+HASH+BASE64; repeatable
    #[arg(long = "key", value_name = "VKEY")]
    keys: Vec<String>,
    /// URL of the transparency log, or a directory with a copy of its files
    #[arg(long, value_name = "URL|DIR", requires = "log_keys")]
    log: Option<String>,
    /// Verifier key of the log, NAME+HASH+BASE64; repeatable
    #[arg(long = "log-key", value_name = "VKEY", requires = "log")]
    log_keys: Vec<String>,
    /// File with the log's last checkpoint [default: a file for each log, in elias of the user's state directory]
    #[arg(long, value_name = "FILE", requires = "log")]
    state: Option<PathBuf>,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at.
struct Check {
    name: &'static str,
    outcome: Outcome,
}

enum Outcome {
    Good { said: String, details: Value },
    Skipped(String),
    Bad { code: &'static str, said: String, details: Value },
}

/// Verifies, and tells on standard output. Exit code 0 if all that was looked at is good.
///
/// # Errors
/// If there is nothing to check, or a key or a file cannot be read.
pub(crate) fn verify(arguments: &VerifyArguments) -> Result<ExitCode, Failure> {
    let keys = parse_keys(&arguments.keys, "--key")?;
    let log_keys = parse_keys(&arguments.log_keys, "--log-key")?;
    let component = match &arguments.component {
        None => None,
        Some(path) => {
            let bytes = std::fs::read(path);
            let bytes = bytes.map_err(|error| {
                Failure::new(CliErrorCode::Io, format_args!("cannot read {}: {error}", path.display()))
            })?;
            Some((path.as_path(), bytes))
        }
    };
    let mut checks = Vec::new();
    if let Some((path, bytes)) = &component {
        let outcome = check_signature(path, bytes, arguments.signature.as_deref(), &keys)?;
        checks.push(Check { name: "signature", outcome });
    }
    if let Some(log) = &arguments.log {
        let source = source(log)?;
        let digest = component.as_ref().map(|(_, bytes)| elias_contract::digest(bytes));
        checks.extend(check_log(source.as_ref(), &log_keys, digest.as_deref(), arguments.state.as_deref()));
    }
    if checks.iter().all(|check| matches!(check.outcome, Outcome::Skipped(_))) {
        let help = "give the component and --key with the signer's verifier key, or --log and --log-key, or both";
        return Err(Failure::new(
            CliErrorCode::NothingToCheck,
            "there is nothing to check the component or the log against",
        )
        .help(help));
    }
    let good = !checks.iter().any(|check| matches!(check.outcome, Outcome::Bad { .. }));
    let text = if arguments.json { format!("{}\n", to_json(&checks, good)) } else { to_text(&checks) };
    // Whoever closed standard output does not want to know.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn parse_keys(texts: &[String], option: &str) -> Result<Vec<VerifyingKey>, Failure> {
    let parse = |text: &String| {
        VerifyingKey::parse(text.trim_ascii()).map_err(|error| {
            Failure::new(error.code(), format_args!("{option}: {error}"))
                .help("`elias keys show FILE` prints the verifier key of a signing key")
        })
    };
    texts.iter().map(parse).collect()
}

/// Where the log is, by its URL or folder.
fn source(log: &str) -> Result<Box<dyn Fetch>, Failure> {
    match reqwest::Url::parse(log) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => {
            Ok(Box::new(Http::new(&url).map_err(|error| Failure::new(CliErrorCode::Io, error))?))
        }
        _ => Ok(Box::new(Directory::new(log))),
    }
}

fn check_signature(
    component: &Path,
    bytes: &[u8],
    given: Option<&Path>,
    keys: &[VerifyingKey],
) -> Result<Outcome, Failure> {
    if keys.is_empty() {
        return Ok(Outcome::Skipped("give the signer's --key".to_owned()));
    }
    let path = given.map_or_else(|| signature::path_of(component), Path::to_owned);
    let mut note = Vec::new();
    let read = std::fs::File::open(&path).and_then(|file| file.take(NOTE_BYTES_MAX as u64 + 1).read_to_end(&mut note));
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let said = format!("the signature file {} does not exist; name it with --signature", path.display());
            return Ok(Outcome::Bad { code: CliErrorCode::NoSignature.as_str(), said, details: Value::Null });
        }
        Err(error) => {
            return Err(Failure::new(CliErrorCode::Io, format_args!("cannot read {}: {error}", path.display())));
        }
    }
    Ok(match signature::verify(&String::from_utf8_lossy(&note), bytes, keys) {
        Ok(verified) => {
            let signers: Vec<_> = verified.signers.iter().map(ToString::to_string).collect();
            let said = format!("signed by {}", signers.join(", "));
            Outcome::Good { said, details: json!({ "signers": signers, "digest": verified.digest }) }
        }
        Err(error) => Outcome::Bad { code: error.code(), said: error.to_string(), details: Value::Null },
    })
}

/// The checkpoint, then the component's entry or all entries, then what was seen of the log before.
fn check_log(source: &dyn Fetch, keys: &[VerifyingKey], digest: Option<&str>, state: Option<&Path>) -> Vec<Check> {
    let log = match Log::open(source, keys) {
        Ok(log) => log,
        Err(error) => return vec![Check { name: "checkpoint", outcome: bad(&error) }],
    };
    let head = log.checkpoint();
    let (origin, size, root) = (&head.origin, head.size, head.root.to_string());
    let said = format!("{origin} has {size} entries, root {root}");
    let details = json!({ "origin": origin, "size": size, "root": root });
    let mut checks = vec![Check { name: "checkpoint", outcome: Outcome::Good { said, details } }];
    checks.push(match digest {
        Some(digest) => Check { name: "inclusion", outcome: check_inclusion(&log, digest) },
        None => Check { name: "entries", outcome: check_entries(&log) },
    });
    checks.push(Check { name: "consistency", outcome: check_consistency(&log, keys, state) });
    checks
}

fn check_inclusion(log: &Log<'_>, digest: &str) -> Outcome {
    match log.find(digest) {
        Ok(found) => {
            let (entry, size) = (&found.entry, log.checkpoint().size);
            let said = format!(
                "entry {} of {size}: version {} of {} (tenant {})",
                found.index, entry.version, entry.component, entry.tenant
            );
            Outcome::Good { said, details: json!({ "index": found.index, "size": size, "entry": entry }) }
        }
        Err(error) => bad(&error),
    }
}

fn check_entries(log: &Log<'_>) -> Outcome {
    match log.replay(|_, _| {}) {
        Ok(()) => {
            let size = log.checkpoint().size;
            Outcome::Good { said: format!("all {size} have that root"), details: json!({ "size": size }) }
        }
        Err(error) => bad(&error),
    }
}

fn check_consistency(log: &Log<'_>, keys: &[VerifyingKey], state: Option<&Path>) -> Outcome {
    let Some(path) = state.map(Path::to_owned).or_else(|| default_state(&log.checkpoint().origin)) else {
        return Outcome::Skipped("the home folder is unknown; name a state file with --state".to_owned());
    };
    match StateFile::new(&path).follow(log, keys) {
        Ok(seen) => {
            let said = match seen {
                Consistency::First { size } => {
                    format!("first seen, with {size} entries; remembered in {}", path.display())
                }
                Consistency::Grown { from, to } if from == to => format!("the same {to} entries as seen before"),
                Consistency::Grown { from, to } => {
                    format!("from size {from} to {to}: what was seen before is unchanged")
                }
            };
            let (from, to) = match seen {
                Consistency::First { size } => (None, size),
                Consistency::Grown { from, to } => (Some(from), to),
            };
            Outcome::Good { said, details: json!({ "from": from, "to": to, "state": path }) }
        }
        Err(error) => bad(&error),
    }
}

fn bad(error: &AuditError) -> Outcome {
    let details = error.conflict().map_or(
        Value::Null,
        |conflict| json!({ "checkpoint-seen": conflict.seen.note, "checkpoint-now": conflict.now.note }),
    );
    Outcome::Bad { code: error.code(), said: error.to_string(), details }
}

/// The file for a log in the user's state folder (XDG Base Directory Specification); none without a home.
fn default_state(origin: &str) -> Option<PathBuf> {
    let of_environment = std::env::var_os("XDG_STATE_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let folder = of_environment.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")))?;
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let readable: String = origin.chars().take(64).map(plain).collect();
    let digest = elias_contract::digest(origin.as_bytes());
    Some(folder.join("elias/logs").join(format!("{readable}-{:.16}.checkpoint", digest)))
}

fn to_text(checks: &[Check]) -> String {
    let mut text = String::new();
    for Check { name, outcome } in checks {
        text.push_str(&match outcome {
            Outcome::Good { said, .. } => format!("{name:<12} good: {said}\n"),
            Outcome::Skipped(said) => format!("{name:<12} not checked: {said}\n"),
            Outcome::Bad { code, said, .. } => format!("{name:<12} FAILED [{code}]: {said}\n"),
        });
        if let Outcome::Bad { details: Value::Object(checkpoints), .. } = outcome {
            for (name, note) in checkpoints {
                text.push_str(&format!("\n--- {name}\n{}", note.as_str().unwrap_or_default()));
            }
        }
    }
    text
}

fn to_json(checks: &[Check], good: bool) -> Value {
    let mut all = Map::from_iter([("ok".to_owned(), good.into())]);
    for Check { name, outcome } in checks {
        let (mut object, details) = match outcome {
            Outcome::Good { details, .. } => (json!({ "ok": true }), details),
            Outcome::Bad { code, said, details } => (json!({ "ok": false, "code": code, "message": said }), details),
            Outcome::Skipped(_) => continue,
        };
        if let (Value::Object(object), Value::Object(details)) = (&mut object, details) {
            object.extend(details.clone());
        }
        all.insert((*name).to_owned(), object);
    }
    all.into()
}

#[cfg(test)]
mod tests;
