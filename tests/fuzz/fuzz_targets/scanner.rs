//! The scanner of statements (host/capabilities/src/db), of its files alone.

use libfuzzer_sys::arbitrary;
use std::sync::Arc;

/// As `elias:db/db` has it.
#[derive(Debug)]
#[allow(dead_code)]
pub(crate) struct Error {
    pub(crate) code: ErrorCode,
    pub(crate) sqlstate: Option<String>,
    pub(crate) message: String,
}

#[derive(Debug)]
pub(crate) enum ErrorCode {
    Database,
    Denied,
    TooLarge,
    UnsupportedType,
    Unavailable,
    Timeout,
    TransactionOver,
}

/// A parameter: no statement here has one.
#[derive(Debug, Clone)]
pub(crate) enum Value {}

#[path = "../../../host/capabilities/src/db"]
mod files {
    /// In the place of what is generated from WIT.
    mod bindings {
        pub(super) use super::super::{Error, ErrorCode, Value};
    }
    pub(crate) mod dialect;
    #[allow(dead_code)]
    mod error;
    #[allow(dead_code)]
    pub(crate) mod statement;
    mod token;
}

pub(crate) use files::dialect::Dialect;
pub(crate) use files::statement::{Kind, Statement};

/// The text built of an input that is not one: words of the dialect, and what stands between them.
#[derive(Debug, arbitrary::Arbitrary)]
pub(crate) enum Input<'a> {
    Text(&'a str),
    Pieces(Vec<Piece<'a>>),
}

#[derive(Debug, arbitrary::Arbitrary)]
pub(crate) enum Piece<'a> {
    Word(u8),
    Text(&'a str),
}

impl Input<'_> {
    pub(crate) fn sql(&self, words: &[&str]) -> Arc<str> {
        match self {
            Self::Text(text) => (*text).into(),
            Self::Pieces(pieces) => pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Word(number) => words[usize::from(*number) % words.len()],
                    Piece::Text(text) => text,
                })
                .collect::<Vec<_>>()
                .join(" ")
                .into(),
        }
    }
}
