//! The macro [`error_codes!`](crate::error_codes): stable error codes, defined as one table.

/// Defines an enum with a stable code for each variant, from one table. A code is in kebab case and the same in every
/// release: clients, scripts and alerts compare it.
///
/// # An enum of codes
///
/// The error itself is another type, which has a code and a message. A row is `Variant = "code", HTTP status, "title"`:
///
/// ```
/// elias_contract::error_codes! {
///     /// Why an order is refused.
///     #[derive(Debug, Clone, Copy, PartialEq, Eq)]
///     pub enum Code {
///         /// The article does not exist.
///         NoArticle = "no-article", 404, "The article does not exist";
///         /// Somebody else bought the last one.
///         SoldOut = "sold-out", 409, "The article is sold out";
///     }
/// }
/// assert_eq!(Code::ALL, [Code::NoArticle, Code::SoldOut]);
/// assert_eq!((Code::SoldOut.as_str(), Code::SoldOut.status()), ("sold-out", 409));
/// assert_eq!(Code::SoldOut.title(), "The article is sold out");
/// assert_eq!(Code::SoldOut.to_string(), "sold-out");
/// ```
///
/// The enum has to be `Copy`. It gets `ALL`, `as_str`, `status`, `title` and `Display`, which writes the code. A table
/// may end with one variant for the codes of another table. The name and the title are those of the other code; the
/// function gives the status:
///
/// ```
/// # elias_contract::error_codes! {
/// #     /// Why an order is refused.
/// #     #[derive(Debug, Clone, Copy, PartialEq, Eq)]
/// #     pub enum Code {
/// #         /// Somebody else bought the last one.
/// #         SoldOut = "sold-out", 409, "The article is sold out";
/// #     }
/// # }
/// elias_contract::error_codes! {
///     /// Why a delivery is refused.
///     #[derive(Debug, Clone, Copy, PartialEq, Eq)]
///     pub enum DeliveryCode {
///         /// The address does not exist.
///         NoAddress = "no-address", 422, "The address does not exist";
///     } with {
///         /// The order was refused.
///         Order(Code), Code::status;
///     }
/// }
/// assert_eq!(DeliveryCode::Order(Code::SoldOut).as_str(), "sold-out");
/// assert_eq!(DeliveryCode::ALL.len(), 1);
/// ```
///
/// Where a code is no HTTP response, as on the command line, status and title are left out. The enum gets `as_str`:
///
/// ```
/// elias_contract::error_codes! {
///     /// Why the cash desk does not open.
///     #[derive(Debug, Clone, Copy, PartialEq, Eq)]
///     pub enum DeskCode {
///         /// The drawer is locked.
///         Locked = "locked";
///     }
/// }
/// assert_eq!(DeskCode::Locked.as_str(), "locked");
/// ```
///
/// # An enum of errors
///
/// The variants are the errors, with what they carry, and the enum gets `code`. Where the code is that of another error
/// in the variant, `as` names that one:
///
/// ```
/// elias_contract::error_codes! {
///     /// Why a price list is refused.
///     #[derive(Debug, thiserror::Error)]
///     pub enum PriceError {
///         /// A line without a price.
///         #[error("line {line} has no price")]
///         NoPrice {
///             /// From 1.
///             line: usize,
///         } => "no-price",
///         /// The list is empty.
///         #[error("the list is empty")]
///         Empty => "empty",
///     }
/// }
/// elias_contract::error_codes! {
///     /// Why an article is refused.
///     #[derive(Debug, thiserror::Error)]
///     pub enum ArticleError {
///         /// The price list is refused.
///         #[error(transparent)]
///         Price(#[from] PriceError) as error => error.code(),
///         /// Its number is taken.
///         #[error("another article has this number")]
///         NumberTaken => "number-taken",
///     }
/// }
/// assert_eq!(ArticleError::from(PriceError::NoPrice { line: 3 }).code(), "no-price");
/// assert_eq!(PriceError::Empty.code(), "empty");
/// ```
#[macro_export]
macro_rules! error_codes {
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $name:ident {
            $($(#[$variant_attribute:meta])* $variant:ident = $code:literal, $status:literal, $title:literal;)+
        }
        $(with {
            $(#[$other_attribute:meta])* $other:ident($other_code:ty), $other_status:expr;
        })?
    ) => {
        $(#[$attribute])*
        $visibility enum $name {
            $($(#[$variant_attribute])* $variant,)+
            $($(#[$other_attribute])* $other($other_code),)?
        }

        impl $name {
            /// Every code that this table defines, in its order.
            #[allow(dead_code)] // a table that is private to a crate may not need it
            $visibility const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The code, in kebab case.
            #[must_use]
            $visibility fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)+
                    $(Self::$other(code) => <$other_code>::as_str(code),)?
                }
            }

            /// The HTTP status of a response with this code.
            #[must_use]
            $visibility fn status(self) -> u16 {
                match self {
                    $(Self::$variant => $status,)+
                    $(Self::$other(code) => $other_status(code),)?
                }
            }

            /// The title for people: one sentence without a full stop and without internals.
            #[must_use]
            $visibility fn title(self) -> &'static str {
                match self {
                    $(Self::$variant => $title,)+
                    $(Self::$other(code) => <$other_code>::title(code),)?
                }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $name:ident {
            $($(#[$variant_attribute:meta])* $variant:ident = $code:literal;)+
        }
    ) => {
        $(#[$attribute])*
        $visibility enum $name {
            $($(#[$variant_attribute])* $variant,)+
        }

        impl $name {
            /// The code, in kebab case.
            #[must_use]
            $visibility fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)+
                }
            }
        }
    };
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $name:ident {
            $(
                $(#[$variant_attribute:meta])*
                $variant:ident $(($($value:tt)*))? $({$($field:tt)*})? $(as $error:ident)? => $code:expr,
            )+
        }
    ) => {
        $(#[$attribute])*
        $visibility enum $name {
            $($(#[$variant_attribute])* $variant $(($($value)*))? $({$($field)*})?,)+
        }

        impl $name {
            /// The stable code, in kebab case.
            #[must_use]
            $visibility fn code(&self) -> &'static str {
                match self {
                    // Braces match a variant of every form: unit, tuple and struct.
                    $(Self::$variant { $(0: $error,)? .. } => $code,)+
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    error_codes! {
        /// A table of two.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        enum Code {
            /// The first.
            NotFound = "not-found", 404, "It does not exist";
            /// The second.
            Busy = "busy", 503, "It is busy";
        }
    }

    error_codes! {
        /// A table that includes another.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        enum OuterCode {
            /// Its own.
            Refused = "refused", 403, "It is refused";
        } with {
            /// The other table's.
            Inner(Code), status_of_inner;
        }
    }

    fn status_of_inner(code: Code) -> u16 {
        if code == Code::Busy { code.status() } else { 422 }
    }

    error_codes! {
        /// A table without statuses.
        #[derive(Debug, Clone, Copy)]
        enum BareCode {
            /// The first.
            Locked = "locked";
            /// The second.
            Closed = "closed";
        }
    }

    error_codes! {
        /// Errors of all three forms.
        #[derive(Debug, thiserror::Error)]
        enum Failure {
            /// Struct.
            #[error("{name} does not exist")]
            Missing {
                /// The name.
                name: &'static str,
            } => Code::NotFound.as_str(),
            /// Tuple.
            #[error("{0} of {1} are busy")]
            Busy(u32, u32) => "busy",
            /// Unit.
            #[error("refused")]
            Refused => "refused",
        }
    }

    error_codes! {
        /// An error around another.
        #[derive(Debug, thiserror::Error)]
        enum OuterFailure {
            /// The other error.
            #[error("it failed: {0}")]
            Inner(#[from] Failure) as error => error.code(),
            /// Its own.
            #[error("it took too long")]
            Timeout => "timeout",
        }
    }

    #[test]
    fn a_table_defines_codes() {
        assert_eq!(Code::ALL, [Code::NotFound, Code::Busy]);
        assert_eq!((Code::Busy.as_str(), Code::Busy.status(), Code::Busy.title()), ("busy", 503, "It is busy"));
        assert_eq!(Code::NotFound.to_string(), "not-found");
    }

    #[test]
    fn a_table_includes_the_codes_of_another() {
        assert_eq!(OuterCode::ALL, [OuterCode::Refused]);
        let inner = OuterCode::Inner(Code::NotFound);
        assert_eq!((inner.as_str(), inner.status(), inner.title()), ("not-found", 422, "It does not exist"));
        assert_eq!(OuterCode::Inner(Code::Busy).status(), 503);
        assert_eq!((OuterCode::Refused.status(), OuterCode::Refused.title()), (403, "It is refused"));
    }

    #[test]
    fn a_table_without_statuses_defines_codes() {
        assert_eq!((BareCode::Locked.as_str(), BareCode::Closed.as_str()), ("locked", "closed"));
    }

    #[test]
    fn errors_have_the_codes_of_their_variants() {
        assert_eq!(Failure::Missing { name: "a" }.code(), "not-found");
        assert_eq!(Failure::Busy(1, 2).code(), "busy");
        assert_eq!(Failure::Refused.code(), "refused");
        let outer = OuterFailure::from(Failure::Missing { name: "a" });
        assert_eq!(OuterFailure::Timeout.code(), "timeout");
        assert_eq!((outer.code(), outer.to_string().as_str()), ("not-found", "it failed: a does not exist"));
    }
}
