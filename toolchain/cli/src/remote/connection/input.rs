//! JSON that commands read from a file or from standard input.

use elias_command_line::{CliErrorCode, Failure};
use serde::de::DeserializeOwned;
use std::io::{IsTerminal, Read};
use std::path::Path;

/// The name of a file in messages; without one, of standard input.
pub(crate) fn input_name(file: Option<&Path>) -> String {
    file.map_or_else(|| "standard input".to_owned(), |file| file.display().to_string())
}

/// Reads JSON of at most `bytes_max` bytes from a file, or without one from standard input.
///
/// # Errors
/// `io`; `bad-input` if there are more bytes, or they are not such JSON.
pub(crate) fn read_json<T: DeserializeOwned>(file: Option<&Path>, bytes_max: usize) -> Result<T, Failure> {
    let name = input_name(file);
    let failed = |error: std::io::Error| Failure::new(CliErrorCode::Io, format_args!("cannot read {name}: {error}"));
    // One byte more, so that it is seen that there are too many.
    let most = bytes_max as u64 + 1;
    let mut bytes = Vec::new();
    let read = if let Some(file) = file {
        std::fs::File::open(file).map_err(failed)?.take(most).read_to_end(&mut bytes)
    } else {
        let input = std::io::stdin();
        if input.is_terminal() {
            eprintln!("Type the JSON, and end it with Ctrl-D.");
        }
        input.lock().take(most).read_to_end(&mut bytes)
    };
    read.map_err(failed)?;
    if bytes.len() > bytes_max {
        let message = format!("{name} has more than {bytes_max} bytes");
        return Err(Failure::new(CliErrorCode::BadInput, message));
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| Failure::new(CliErrorCode::BadInput, format_args!("{name}: {error}")))
}
