//! `elias move-store`: a platform's store from the SQLite file in its data directory to a PostgreSQL.

use crate::failure;
use elias_command_line::text::print;
use elias_command_line::{CliErrorCode, Failure, MoveStoreArguments};
use std::fmt::Write as _;

/// Moves the store, and says how many rows each table has.
///
/// # Errors
/// If the platform runs, or the database is not empty; nothing has changed then.
pub(crate) fn move_store(arguments: &MoveStoreArguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(CliErrorCode::Io, error))?;
    let moved = runtime.block_on(elias_platform::move_store(&arguments.data_dir, &arguments.to));
    let moved = moved.map_err(failure::of_platform)?;
    let mut text = format!("moved the store {}; both sides have the same rows:\n", moved.identity);
    for (table, rows) in &moved.rows {
        let _ = writeln!(text, "  {table:<16} {rows}");
    }
    let (data_dir, file) = (arguments.data_dir.display(), moved.file.display());
    let _ = writeln!(
        text,
        "serve it with: elias serve --platform --data-dir {data_dir} --store URL\n  {file} is not used any more"
    );
    print(&text);
    Ok(())
}
