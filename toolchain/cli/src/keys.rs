//! `elias keys`: the keys that components are signed with, and the key of a host.

use crate::remote::TenantKeysCommand;
use clap::{Args, Subcommand};
use elias_command_line::{CliErrorCode, Failure};
use elias_contract::key_file;
use elias_contract::note::SigningKey;
use rand::RngCore;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The arguments of `keys`.
#[derive(Debug, Args)]
pub(crate) struct KeysArguments {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Create a signing key in a file that only its owner can read, and print the verifier key
    New {
        /// Name of the key's owner, such as example.com/team: visible ASCII characters except `+`
        name: String,
        /// File to write the key to [default: the last part of the name with .key]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print the verifier key of a signing key
    Show {
        /// File with the signing key
        file: PathBuf,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Exchange the key that the host of a data directory encrypts secrets with, while the host is stopped
    Rotate {
        /// Data directory of the platform
        #[arg(long, value_name = "DIR")]
        data_dir: PathBuf,
    },
    #[command(flatten)]
    OfTenant(TenantKeysCommand),
}

/// Makes a key, or shows one's public half on standard output; or lists, adds and revokes those that a tenant accepts.
///
/// # Errors
/// If the name is none, the file is there already, or it cannot be written or read; and what the platform refuses.
pub(crate) fn keys(arguments: &KeysArguments) -> Result<(), Failure> {
    match &arguments.command {
        KeysCommand::New { name, out, json } => {
            let mut seed = [0; 32];
            rand::rngs::OsRng.try_fill_bytes(&mut seed).map_err(|error| Failure::new(CliErrorCode::Io, error))?;
            let key = SigningKey::from_seed(name, &seed).map_err(|error| {
                Failure::new(error.code(), error).help("choose a name like example.com/team, or a word")
            })?;
            let file = out.clone().unwrap_or_else(|| default_file(name));
            write(&file, &key)?;
            show(&key, Some(&file), *json);
        }
        KeysCommand::Show { file, json } => {
            show(&key_file::read(file)?, None, *json);
        }
        KeysCommand::Rotate { data_dir } => crate::host_key::rotate(data_dir)?,
        KeysCommand::OfTenant(command) => command.run()?,
    }
    Ok(())
}

fn show(key: &SigningKey, written: Option<&Path>, json: bool) {
    let verifier = key.verifying_key().to_string();
    let text = if json {
        format!("{}\n", serde_json::json!({ "id": key.id().to_string(), "verifier": verifier, "file": written }))
    } else {
        format!("{verifier}\n")
    };
    if let (Some(file), false) = (written, json) {
        let file = file.display();
        eprintln!("{file} is the signing key: keep it secret, and store a copy of it safely. Its verifier key:");
    }
    // Whoever closed standard output does not want to know.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// The last part of a key's name, with `.key`.
fn default_file(name: &str) -> PathBuf {
    let last = name.rsplit('/').find(|part| !part.is_empty()).unwrap_or("signing");
    format!("{last}.key").into()
}

/// Writes a key to a new file that only its owner can read.
fn write(path: &Path, key: &SigningKey) -> Result<(), Failure> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(format!("{}\n", key.to_text()).as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| {
        let failure = Failure::new(CliErrorCode::Io, format_args!("cannot write {}: {error}", path.display()));
        match error.kind() {
            std::io::ErrorKind::AlreadyExists => failure.help("a key is never overwritten: name another file by --out"),
            _ => failure,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_new_key_is_its_owners_alone_and_never_overwritten() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("team.key");
        let new = KeysArguments {
            command: KeysCommand::New { name: "example.com/team".into(), out: Some(file.clone()), json: true },
        };
        keys(&new).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let first = key_file::read(&file).unwrap();
        assert_eq!(first.id().name, "example.com/team");
        assert!(keys(&new).unwrap_err().to_string().contains("never overwritten"));
        assert_eq!(key_file::read(&file).unwrap().to_text(), first.to_text());
        let bad = KeysCommand::New { name: "a b".into(), out: Some(folder.path().join("other")), json: false };
        assert!(keys(&KeysArguments { command: bad }).unwrap_err().to_string().contains("bad-key"));
    }

    #[test]
    fn a_key_is_written_to_a_file_of_its_name() {
        for (name, wanted) in
            [("team", "team.key"), ("example.com/team", "team.key"), ("a/", "a.key"), ("/", "signing.key")]
        {
            assert_eq!(default_file(name), Path::new(wanted));
        }
    }
}
