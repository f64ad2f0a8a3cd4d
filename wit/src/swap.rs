//! The code of a version of a component, by which service workers of another version go on in this one: the custom
//! section [`CODE_SECTION`] of components that have workers.
//!
//! The section is text: on the first line the web modules that the code needs beside those that every component has,
//! separated by spaces, and behind it the application's module as the engine evaluated it. A heap of another version
//! can only have this code if that one was built with the same modules.

use crate::digest;
use crate::stack::MODULE_NAME;

/// The custom section that holds a version's code.
pub const CODE_SECTION: &str = "elias:code";

/// Bytes of a section; a larger one is as good as none.
pub const CODE_BYTES_MAX: usize = 16 << 20;

/// Bytes of a section's first line, which is read whenever a worker is swapped; a section with a longer one is as good
/// as none. The names of all web modules that there are take half of that.
pub const MODULES_BYTES_MAX: usize = 64 << 10;

/// Digits of a digest that the name of a module has.
const NAME_DIGITS: usize = 12;

/// A version's code, as its section has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code<'a> {
    /// The web modules that it needs, each as a name, or as a name and the digest of its source.
    pub modules: &'a str,
    /// The application's module.
    pub source: &'a str,
}

impl<'a> Code<'a> {
    /// Reads a section; none if it is not valid, or too large.
    #[must_use]
    pub fn parse(section: &'a [u8]) -> Option<Self> {
        if section.len() > CODE_BYTES_MAX {
            return None;
        }
        let (modules, source) = str::from_utf8(section).ok()?.split_once('\n')?;
        (modules.len() <= MODULES_BYTES_MAX).then_some(Self { modules, source })
    }

    /// The code as a section.
    #[must_use]
    pub fn to_section(&self) -> Vec<u8> {
        [self.modules, "\n", self.source].concat().into_bytes()
    }
}

/// The name of a code: the digest of its section, in hexadecimal.
#[must_use]
pub fn name_of(section: &[u8]) -> String {
    digest(section)
}

/// The name that the module of this code has in stack traces of a worker that was swapped into it. The engine makes the
/// same of the name.
#[must_use]
pub fn module_name(code: &str) -> String {
    let (name, extension) = MODULE_NAME.split_once('.').unwrap_or((MODULE_NAME, "js"));
    format!("{name}-{}.{extension}", code.get(..NAME_DIGITS).unwrap_or(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_read_as_it_was_written() {
        let code = Code { modules: "elias:web/node/path.js elias:web/capabilities/db.js", source: "export {};\n// x" };
        let section = code.to_section();
        assert_eq!(Code::parse(&section), Some(code));
        assert_eq!(Code::parse(b"no line feed"), None);
        assert_eq!(Code::parse(b"\xff\n"), None);
        assert_eq!(Code::parse(&vec![b'\n'; CODE_BYTES_MAX + 1]), None);
        let with_modules = |bytes: usize| Code { modules: &"a ".repeat(bytes / 2), source: "" }.to_section();
        assert!(Code::parse(&with_modules(MODULES_BYTES_MAX)).is_some());
        assert_eq!(Code::parse(&with_modules(MODULES_BYTES_MAX + 2)), None);
    }

    #[test]
    fn modules_are_named_by_the_digest_of_their_code() {
        assert_eq!(module_name(&name_of(b"\n")), "app-01ba4719c80b.js");
        assert_eq!(module_name("ab"), "app-ab.js");
    }
}
