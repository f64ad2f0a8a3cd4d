//! Everything of a platform in one file.

use crate::remote::connection::client::Client;
use clap::Args;
use elias_command_line::text::print;
use elias_command_line::{CliErrorCode, Failure, Target};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The arguments of `backup`.
#[derive(Debug, Args)]
pub(crate) struct BackupArguments {
    /// Archive file to create; must not exist. Contains all secrets of the platform
    file: PathBuf,
    #[command(flatten)]
    target: Target,
}

/// Writes the archive.
///
/// # Errors
/// If the platform refuses, or the file cannot be written.
pub(crate) fn backup(arguments: &BackupArguments) -> Result<(), Failure> {
    let client = Client::of(&arguments.target)?;
    let io =
        |error: std::io::Error| Failure::new(CliErrorCode::Io, format_args!("{}: {error}", arguments.file.display()));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&arguments.file).map_err(io)?;
    let written =
        receive(&client, &arguments.file, &file).and_then(|bytes| file.sync_all().map(|()| bytes).map_err(io));
    match written {
        Ok(bytes) => {
            let (file, megabytes) = (arguments.file.display(), bytes as f64 / 1e6);
            print(&format!("{file}: {megabytes:.1} MB; check it with: elias restore {file} --data-dir NEW\n"));
            Ok(())
        }
        Err(failure) => {
            // Half an archive is none.
            let _ = std::fs::remove_file(&arguments.file);
            Err(failure)
        }
    }
}

fn receive(client: &Client, path: &Path, mut file: &File) -> Result<u64, Failure> {
    client.runtime.block_on(async {
        let sent = client.http.get(client.host_url(&["backup"])).send().await;
        let mut response = sent.map_err(|error| client.unreachable(error))?;
        if !response.status().is_success() {
            return Err(client.refusal(response).await);
        }
        let mut bytes = 0;
        while let Some(chunk) = response.chunk().await.map_err(|error| client.unreachable(error))? {
            file.write_all(&chunk)
                .map_err(|error| Failure::new(CliErrorCode::Io, format_args!("{}: {error}", path.display())))?;
            bytes += chunk.len() as u64;
        }
        Ok(bytes)
    })
}
