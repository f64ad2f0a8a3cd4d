//! The function `snippet` of FTS5, which is refused.
//!
//! SQLite's own compares each match in a text with each other one. Of a text of two million words that all match that
//! is a day's work, in one call that nothing can end: it makes no steps and allocates nothing. The authorizer does not
//! see every call, for the `rank` of a table or of a query may name the function too. So a function of ours has its
//! name, which FTS5 finds first. `bm25` is linear, and `highlight` allocates what it makes, so that both end with their
//! statement.

use rusqlite::{Connection, Error, Result, ffi};
use std::ffi::{c_int, c_void};
use std::ptr;

/// Refuses `snippet` on a connection.
pub(super) fn define(connection: &Connection) -> Result<()> {
    let api = interface(connection)?;
    // SAFETY: SQLite gave the address, and its interface is there as long as the connection is.
    let create =
        unsafe { api.as_ref() }.and_then(|api| api.xCreateFunction).ok_or_else(|| failed(ffi::SQLITE_MISUSE))?;
    // SAFETY: as above; SQLite copies the name, and the function has no data.
    let created = unsafe { create(api, c"snippet".as_ptr(), ptr::null_mut(), Some(refuse), None) };
    if created == ffi::SQLITE_OK { Ok(()) } else { Err(failed(created)) }
}

fn failed(code: c_int) -> Error {
    Error::SqliteFailure(ffi::Error::new(code), None)
}

/// The interface to FTS5, null if there is none. See <https://sqlite.org/fts5.html#extending_fts5>.
fn interface(connection: &Connection) -> Result<*mut ffi::fts5_api> {
    let mut api: *mut ffi::fts5_api = ptr::null_mut();
    let mut statement = ptr::null_mut();
    // SAFETY: the connection is open and this thread's, and the text ends with NUL.
    let prepared = unsafe {
        let text = c"SELECT fts5(?1)".as_ptr();
        ffi::sqlite3_prepare_v2(connection.handle(), text, -1, &raw mut statement, ptr::null_mut())
    };
    if prepared != ffi::SQLITE_OK {
        return Err(failed(prepared));
    }
    // SAFETY: the statement is the one just made, and ends here. While it runs, SQLite writes an address of the type
    // that the name says to `api`.
    let ended = unsafe {
        let place = (&raw mut api).cast::<c_void>();
        if ffi::sqlite3_bind_pointer(statement, 1, place, c"fts5_api_ptr".as_ptr(), None) == ffi::SQLITE_OK {
            ffi::sqlite3_step(statement);
        }
        ffi::sqlite3_finalize(statement)
    };
    if ended == ffi::SQLITE_OK { Ok(api) } else { Err(failed(ended)) }
}

unsafe extern "C" fn refuse(
    _: *const ffi::Fts5ExtensionApi,
    _: *mut ffi::Fts5Context,
    context: *mut ffi::sqlite3_context,
    _: c_int,
    _: *mut *mut ffi::sqlite3_value,
) {
    let why = c"snippet takes a time that grows with the square of the matches: use highlight, and cut its text";
    // SAFETY: the context is SQLite's own, which copies the text.
    unsafe {
        ffi::sqlite3_result_error(context, why.as_ptr(), -1);
        ffi::sqlite3_result_error_code(context, ffi::SQLITE_AUTH);
    }
}
