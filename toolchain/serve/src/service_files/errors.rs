//! Which error number a refusal of the platform has.

use elias_api::{Code, Error};
use elias_nine_p::{Errno, FileError};

/// A refusal as an error of a file. Its text has the stable code.
pub(super) fn refused(error: Error) -> FileError {
    FileError::new(errno(error.code()), format!("{}: {error}", error.code()))
}

/// The error number of a code; `docs/reference/service-files.md` has the table.
fn errno(code: Code) -> Errno {
    match code {
        Code::NotFound => Errno::NotFound,
        Code::Unauthenticated | Code::TokenExpired | Code::NoRole | Code::Forbidden | Code::NotAllowed => {
            Errno::AccessDenied
        }
        Code::RateLimited | Code::BulkheadFull | Code::MailboxFull => Errno::TryAgain,
        Code::AuthUnavailable
        | Code::StoreUnavailable
        | Code::WorkersUnavailable
        | Code::CircuitOpen
        | Code::Stopped => Errno::Unavailable,
        Code::AlreadyThere => Errno::Exists,
        Code::InUse | Code::WrongState | Code::Stale => Errno::Busy,
        Code::BadName | Code::BadInput => Errno::Invalid,
        Code::TooLarge | Code::ResultTooLarge => Errno::TooLarge,
        Code::QuotaExceeded | Code::AboveCeiling => Errno::Quota,
        Code::NoSpaceLeft => Errno::NoSpace,
        Code::WorkerException => Errno::Exception,
        Code::AnswerTimeout => Errno::TimedOut,
        _ => Errno::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_a_number_and_its_code() {
        for (code, symbol) in [
            (Code::NotFound, "ENOENT"),
            (Code::Forbidden, "EACCES"),
            (Code::MailboxFull, "EAGAIN"),
            (Code::Stopped, "EHOSTDOWN"),
            (Code::WorkerException, "EREMOTEIO"),
            (Code::WorkerFailed, "EIO"),
        ] {
            let error = refused(Error::new(code, "why"));
            assert_eq!((error.errno.symbol(), error.message), (symbol, format!("{code}: why")));
        }
    }

    #[test]
    fn the_page_has_every_number() {
        let page = include_str!("../../../../docs/reference/service-files.md");
        for errno in Errno::ALL {
            let row = format!("| `{}` | {} |", errno.symbol(), *errno as u32);
            assert!(page.contains(&row), "{row}");
        }
        for code in Code::ALL.iter().filter(|code| errno(**code) != Errno::Io) {
            assert!(page.contains(&format!("`{code}`")), "{code}");
        }
    }
}
