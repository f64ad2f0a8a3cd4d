//! `console.*`: lines for the log capability.

use super::usv_string::UsvString;
use crate::bindings::elias::log::log::{self, Level};
use crate::build;
use crate::error::{Thrown, write_json_string};
use crate::phase::{self, Import};
use javy::quickjs::{Function, Object, Result};

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    native.set(
        "logFields",
        Function::new(native.ctx().clone(), |level: u32, UsvString(message): UsvString, fields: Vec<UsvString>| {
            let mut flat = fields.into_iter();
            let mut pairs = Vec::new();
            while let (Some(UsvString(name)), Some(UsvString(json))) = (flat.next(), flat.next()) {
                pairs.push((name, json));
            }
            write(level, &message, &pairs);
        })?,
    )?;
    native.set(
        "log",
        Function::new(
            native.ctx().clone(),
            |level: u32, UsvString(message): UsvString, UsvString(arguments): UsvString| {
                let fields = [("arguments".to_owned(), arguments)];
                let said = usize::from(!fields[0].1.is_empty());
                write(level, &message, &fields[..said]);
            },
        )?,
    )
}

/// An exception that nothing in the component handles.
pub(crate) fn uncaught(thrown: &Thrown) {
    write_thrown("Uncaught", thrown);
}

/// A rejection that nothing in the component handles.
pub(crate) fn unhandled(reason: &Thrown) {
    write_thrown("Uncaught (in promise)", reason);
}

fn write_thrown(what: &str, thrown: &Thrown) {
    let mut stack = String::new();
    write_json_string(&mut stack, &thrown.stack);
    let message = format!("{what} {}: {}", thrown.name, thrown.message);
    write(4, &message, &[("stack".to_owned(), stack)]);
}

fn write(level: u32, message: &str, fields: &[(String, String)]) {
    if phase::building() {
        build::record_log(level, message);
    } else if phase::wired(Import::Log) {
        let level = match level {
            0 => Level::Trace,
            1 => Level::Debug,
            2 => Level::Info,
            3 => Level::Warn,
            _ => Level::Error,
        };
        log::write(level, message, fields);
    }
}
