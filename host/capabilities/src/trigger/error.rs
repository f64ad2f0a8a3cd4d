//! The error type that `jobs`, `events` and `workflow` share but for its codes.

/// Defines `Error`, a failure with one of the interface's `ErrorCode`s and a message. It is a macro and not a generic
/// type, so that each interface has an error of its own in signatures and in the documentation. With `outbox`, a row
/// that was not written becomes such an error.
///
/// The names `ComponentType`, `Lower`, `Payload` and `wasmtime` have to be in scope.
macro_rules! interface_error {
    () => {
        /// A failure. The component sees its message: it has no addresses, no credentials and nothing of a store's own
        /// words.
        #[derive(ComponentType, Lower, Debug, Clone, PartialEq, Eq)]
        #[component(record)]
        pub struct Error {
            /// The kind of failure.
            pub code: ErrorCode,
            /// For people: what happened, and what to do.
            pub message: String,
        }

        impl Error {
            /// A failure with this code and message.
            #[must_use]
            pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
                Self { code, message: message.into() }
            }

            pub(super) fn invalid(message: impl Into<String>) -> Self {
                Self::new(ErrorCode::Invalid, message)
            }
        }

        impl Payload for Error {
            fn units(&self) -> u64 {
                self.message.units()
            }
        }
    };
    (outbox) => {
        $crate::trigger::interface_error!();

        impl From<$crate::outbox::WriteError> for Error {
            fn from(error: $crate::outbox::WriteError) -> Self {
                use $crate::outbox::WriteError;
                match error {
                    WriteError::Invalid(message) => Self::invalid(message),
                    WriteError::TooLarge(message) => Self::new(ErrorCode::TooLarge, message),
                    WriteError::Unavailable(message) => Self::new(ErrorCode::Unavailable, message),
                }
            }
        }
    };
}
pub(crate) use interface_error;
