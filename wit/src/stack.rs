//! Positions and stack traces of a running component, told in terms of the author's own files.
//!
//! The engine knows only the bundle; the source map that travels in the component says where each piece came from. Both
//! the toolchain (exceptions while building) and the host (exceptions while serving) need this. A source map in a
//! component is untrusted input, so nothing here allocates by what it claims.

pub use oxc_sourcemap::SourceMap;

use serde::Deserialize;
use std::borrow::Cow;

/// The application's one module, as the engine knows it.
pub const MODULE_NAME: &str = "app.js";

/// Bytes of a source map; a larger one is as good as none.
pub const SOURCE_MAP_BYTES_MAX: usize = 32 << 20;

/// Pieces that a source map may tell apart; a map with more is as good as none. Each takes 24 bytes when it is read.
pub const SOURCE_MAP_ENTRIES_MAX: usize = 2_000_000;

/// Bytes of an original file's name; a longer one is as good as none.
const FILE_NAME_BYTES_MAX: usize = 1024;

/// The engine's own modules, whose frames say nothing to an author, have names that begin so; and those without
/// debugging information have none.
const ENGINE_PREFIX: &str = "elias:";
const NO_NAME: &str = "<null>";

/// Reads a source map without the sources' text. Nothing if it is not valid or over its limits.
#[must_use]
pub fn read_positions(json: &str) -> Option<SourceMap<'static>> {
    #[derive(Deserialize)]
    struct Mappings<'a> {
        #[serde(borrow)]
        mappings: Cow<'a, str>,
    }
    if json.len() > SOURCE_MAP_BYTES_MAX {
        return None;
    }
    let Mappings { mappings } = serde_json::from_str(json).ok()?;
    if mappings.bytes().filter(|byte| matches!(byte, b',' | b';')).count() >= SOURCE_MAP_ENTRIES_MAX {
        return None;
    }
    let mut map = SourceMap::from_json_string(json).ok()?;
    map.set_source_contents(Vec::new());
    Some(map.into_owned())
}

/// A place in an original source file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position<'m> {
    /// Path as the source map has it: relative to the project.
    pub file: &'m str,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1, in UTF-16 code units.
    pub column: u32,
    /// The whole text of the file, where the source map carries it.
    pub source: Option<&'m str>,
}

/// One line of a QuickJS stack trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The function, unless it is anonymous.
    pub function: Option<String>,
    /// The module's name, or `native`.
    pub file: String,
    /// Line, from 1; 0 in native code.
    pub line: u32,
    /// Column, from 1; 0 in native code.
    pub column: u32,
}

/// Where line and column (both from 1) of the bundle come from.
#[must_use]
pub fn locate<'m>(map: &'m SourceMap<'_>, line: u32, column: u32) -> Option<Position<'m>> {
    let wanted = (line.checked_sub(1)?, column.saturating_sub(1));
    let count = u32::try_from(map.get_tokens().len()).ok()?;
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        let token = map.get_token(middle)?;
        if (token.get_dst_line(), token.get_dst_col()) <= wanted {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let on_line = |index: u32| map.get_token(index).filter(|token| token.get_dst_line() == wanted.0);
    // The piece that begins at or before the position; before the first piece of a line, that piece.
    let token = low.checked_sub(1).and_then(on_line).or_else(|| on_line(low))?;
    let source = token.get_source_id()?;
    let is_name = |file: &&str| file.len() <= FILE_NAME_BYTES_MAX && !file.contains(char::is_control);
    Some(Position {
        file: map.get_source(source).filter(is_name)?,
        line: token.get_src_line().saturating_add(1),
        column: token.get_src_col().saturating_add(1),
        source: map.get_source_content(source),
    })
}

/// The frames in a stack trace as QuickJS prints it; lines that are not frames are passed over.
#[must_use]
pub fn parse_stack(stack: &str) -> Vec<Frame> {
    stack.lines().filter_map(parse_frame).collect()
}

/// Reads `at name (file:line:column)`, `at file:line:column`, `at name (native)` or `at native`.
fn parse_frame(line: &str) -> Option<Frame> {
    let text = line.trim().strip_prefix("at ")?.trim();
    let (function, place) = match text.strip_suffix(')').and_then(|inner| inner.rsplit_once(" (")) {
        Some((function, place)) => (Some(function), place),
        None => (None, text),
    };
    let function = function.filter(|name| !name.is_empty() && *name != "<anonymous>").map(str::to_owned);
    if place == "native" {
        return Some(Frame { function, file: place.to_owned(), line: 0, column: 0 });
    }
    let (rest, last) = place.rsplit_once(':')?;
    let last: u32 = last.parse().ok()?;
    // Older frames have a line and no column.
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (file, line, column) = match rest.rsplit_once(':') {
        Some((file, line)) if is_number(line) => (file, line.parse().ok()?, last),
        _ => (rest, last, 1),
    };
    (!file.is_empty()).then(|| Frame { function, file: file.to_owned(), line, column })
}

/// The source maps of the modules that an instance has, by their names in stack traces: that of the application's
/// module, and of those that a worker was swapped into.
#[derive(Debug, Clone, Copy)]
pub struct SourceMaps<'a, 'm> {
    /// That of [`MODULE_NAME`].
    pub application: Option<&'a SourceMap<'m>>,
    /// Those of other modules.
    pub swapped: &'a [(&'a str, &'a SourceMap<'m>)],
}

impl<'a, 'm> SourceMaps<'a, 'm> {
    fn of(&self, module: &str) -> Option<&'a SourceMap<'m>> {
        if module == MODULE_NAME {
            return self.application;
        }
        self.swapped.iter().find(|(name, _)| *name == module).map(|(_, map)| *map)
    }
}

/// The same stack trace with every frame in its original file, without the frames of the engine's own modules. Lines
/// that are not frames, such as the message, stay as they are.
#[must_use]
pub fn remap_stack(stack: &str, map: &SourceMap<'_>) -> String {
    remap_stack_by(stack, SourceMaps { application: Some(map), swapped: &[] })
}

/// As [`remap_stack`], for several modules.
#[must_use]
pub fn remap_stack_by(stack: &str, maps: SourceMaps<'_, '_>) -> String {
    let lines: Vec<_> = stack.lines().filter_map(|line| remap_line(line, maps)).collect();
    lines.join("\n").trim_end().to_owned()
}

/// A line of a stack trace with its frame in its original file; nothing if the frame is the engine's own.
fn remap_line(line: &str, maps: SourceMaps<'_, '_>) -> Option<String> {
    let Some(frame) = parse_frame(line) else { return Some(line.trim_end().to_owned()) };
    let native = frame.file == "native";
    if frame.file.starts_with(ENGINE_PREFIX) || frame.file == NO_NAME || (native && frame.function.is_none()) {
        return None;
    }
    let original = maps.of(&frame.file).and_then(|map| locate(map, frame.line, frame.column));
    let place = match original {
        _ if native => frame.file,
        Some(at) => format!("{}:{}:{}", at.file, at.line, at.column),
        None => format!("{}:{}:{}", frame.file, frame.line, frame.column),
    };
    let indent = &line[..line.len() - line.trim_start().len()];
    let indent = if indent.len() < 4 { "    " } else { indent };
    Some(match frame.function {
        Some(function) => format!("{indent}at {function} ({place})"),
        None => format!("{indent}at {place}"),
    })
}

/// The text before the frame on a line, such as a JSON string's opening; the frame; and the text behind it.
fn find_frame(line: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = line.split_at(line.find("    at ")?);
    // Spaces of the line's own belong to the frame's indentation.
    let (before, rest) = if before.bytes().all(|byte| byte == b' ') { ("", line) } else { (before, rest) };
    if parse_frame(rest).is_some() {
        return Some((before, rest, ""));
    }
    let (frame, after) = rest.split_at(rest.find('"')?);
    parse_frame(frame).map(|_| (before, frame, after))
}

/// Whether `text` may hold frames that [`remap_text`] would change: a quick look.
#[must_use]
pub fn may_have_frames(text: &str) -> bool {
    text.contains("    at ")
}

/// The first line of `text`, what ends it (a line feed, the two characters of an escaped one, or nothing at the end),
/// and the rest.
///
/// It looks at no byte behind the line: whoever takes a text apart with it looks at each byte once, also where one kind
/// of line end does not occur at all.
fn split_line(text: &str) -> (&str, &str, &str) {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(found) = bytes[from..].iter().position(|byte| matches!(byte, b'\n' | b'\\')) {
        let at = from + found;
        let length = if bytes[at] == b'\n' { 1 } else { 2 };
        if length == 1 || bytes.get(at + 1) == Some(&b'n') {
            looked_at(at + length);
            let (line, rest) = text.split_at(at);
            let (newline, rest) = rest.split_at(length);
            return (line, newline, rest);
        }
        from = at + 1;
    }
    looked_at(bytes.len());
    (text, "", "")
}

#[cfg(test)]
thread_local! {
    /// Bytes that [`split_line`] has looked at.
    static LOOKED_AT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
fn looked_at(bytes: usize) {
    LOOKED_AT.set(LOOKED_AT.get() + bytes);
}

#[cfg(not(test))]
fn looked_at(_: usize) {}

/// Text with stack traces in it, such as a log line, with their frames in the original files and without those of the
/// engine's own modules. The text may be JSON, where lines within a string end in `\\n`. Takes time in proportion to
/// the text's length.
#[must_use]
pub fn remap_text(text: &str, map: &SourceMap<'_>) -> String {
    remap_text_by(text, SourceMaps { application: Some(map), swapped: &[] })
}

/// As [`remap_text`], for several modules.
#[must_use]
pub fn remap_text_by(text: &str, maps: SourceMaps<'_, '_>) -> String {
    let mut remapped = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (line, newline, tail) = split_line(rest);
        rest = tail;
        let Some((before, frame, after)) = find_frame(line) else {
            remapped.push_str(line);
            remapped.push_str(newline);
            continue;
        };
        remapped.push_str(before);
        match remap_line(frame, maps) {
            Some(frame) => {
                remapped.push_str(&frame);
                remapped.push_str(after);
                remapped.push_str(newline);
            }
            // The line goes with its frame, unless there is more on it.
            None => remapped.push_str(after),
        }
    }
    remapped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bundle line 2 is `src/index.ts` line 4 from column 3 and, from bundle column 11, line 5; bundle line 4 is
    /// `src/db.ts`.
    fn map() -> SourceMap<'static> {
        let json = r#"{"version":3,"sources":["src/index.ts","src/db.ts"],"names":[],
            "sourcesContent":["1\n2\n3\n  boom();\n",null],"mappings":";EAGE,QACA;;ACJF"}"#;
        SourceMap::from_json_string(json).expect("a valid source map")
    }

    #[test]
    fn locates_positions() {
        #[track_caller]
        fn check(line: u32, column: u32, expect: Option<(&str, u32, u32)>) {
            let map = map();
            assert_eq!(locate(&map, line, column).map(|at| (at.file, at.line, at.column)), expect, "{line}:{column}");
        }
        check(2, 3, Some(("src/index.ts", 4, 3)));
        check(2, 10, Some(("src/index.ts", 4, 3)));
        check(2, 11, Some(("src/index.ts", 5, 3)));
        check(2, 1, Some(("src/index.ts", 4, 3)));
        check(4, 99, Some(("src/db.ts", 1, 1)));
        check(1, 1, None);
        check(3, 1, None);
        check(0, 0, None);
        check(u32::MAX, u32::MAX, None);
        assert_eq!(locate(&map(), 2, 3).and_then(|at| at.source), Some("1\n2\n3\n  boom();\n"));
    }

    #[test]
    fn parses_frames() {
        #[track_caller]
        fn check(stack: &str, expect: &[(Option<&str>, &str, u32, u32)]) {
            let frames = parse_stack(stack);
            let found: Vec<_> =
                frames.iter().map(|f| (f.function.as_deref(), f.file.as_str(), f.line, f.column)).collect();
            assert_eq!(found, expect, "{stack}");
        }
        check("    at name (app.js:12:34)\n", &[(Some("name"), "app.js", 12, 34)]);
        check("    at app.js:3:1", &[(None, "app.js", 3, 1)]);
        check("    at <anonymous> (app.js:3)", &[(None, "app.js", 3, 1)]);
        check("    at native", &[(None, "native", 0, 0)]);
        check("    at map (native)", &[(Some("map"), "native", 0, 0)]);
        check("    at get x (elias:web/url:7:2)", &[(Some("get x"), "elias:web/url", 7, 2)]);
        check("Error: no\n    at a (b) (c:1:2)", &[(Some("a (b)"), "c", 1, 2)]);
        check("", &[]);
        check("at \n at :1:2\n at x:y\n at f (app.js:99999999999:1)\n nothing", &[]);
    }

    #[test]
    fn rewrites_stacks_within_text() {
        #[track_caller]
        fn check(text: &str, expect: &str) {
            assert_eq!(remap_text(text, &map()), expect);
        }
        check("Error: no\n    at f (app.js:2:12)\nend", "Error: no\n    at f (src/index.ts:5:3)\nend");
        check("{\n      at f (app.js:2:12)\n}", "{\n      at f (src/index.ts:5:3)\n}");
        check("a\n    at g (elias:web/x:1:1)\nb", "a\nb");
        check("a\n    at g (<null>:0:1)", "a\n");
        check(r#"{"stack":"    at f (app.js:4:1)\n    at <null>:0:1\n"}"#, r#"{"stack":"    at f (src/db.ts:1:1)\n"}"#);
        check(r#"{"stack":"    at <null>:0:1\n    at f (app.js:4:1)"}"#, r#"{"stack":"    at f (src/db.ts:1:1)"}"#);
        check("look    at the sea:3:4", "look    at the sea:3:4");
        check("    at input (other.js:2:12)", "    at input (other.js:2:12)");
        check("", "");
        check("\n\n", "\n\n");
    }

    #[test]
    fn a_module_that_a_worker_was_swapped_into_has_its_own_map() {
        let json = r#"{"version":3,"sources":["src/next.ts"],"names":[],"mappings":"AAAA"}"#;
        let (first, next) = (map(), SourceMap::from_json_string(json).expect("a valid source map"));
        let swapped = [("app-0123456789ab.js", &next)];
        let maps = SourceMaps { application: Some(&first), swapped: &swapped };
        let stack = "    at f (app-0123456789ab.js:1:1)\n    at g (app.js:4:1)\n    at h (app-other.js:1:1)";
        let expect = "    at f (src/next.ts:1:1)\n    at g (src/db.ts:1:1)\n    at h (app-other.js:1:1)";
        assert_eq!(remap_stack_by(stack, maps), expect);
        assert_eq!(remap_text_by(stack, maps), expect);
    }

    #[test]
    fn twice_the_text_is_twice_the_work() {
        // Frames, lines that never end, the beginnings of line ends, quotes, and a frame's mark over and over.
        for piece in
            ["    at f (app.js:2:12)\n", "    at f (app.js:2:12)\\n", "x", "\\", "    at ", "\"    at f (a:1", "\n"]
        {
            let work = |pieces: usize| {
                let text = piece.repeat(pieces);
                LOOKED_AT.set(0);
                let remapped = remap_text(&text, &map());
                assert!(remapped.len() <= 2 * text.len(), "{piece:?} grew to {} bytes", remapped.len());
                assert_eq!(LOOKED_AT.get(), text.len(), "{piece:?}: every byte is looked at once");
            };
            work(1_000);
            work(20_000);
        }
    }

    #[test]
    fn a_map_that_lies_changes_nothing() {
        let read = |json: &str| read_positions(json);
        assert!(read("").is_none());
        assert!(read("[]").is_none());
        assert!(read(r#"{"version":3,"sources":[],"names":[],"mappings":"AAAA"}"#).is_none());
        assert!(
            read(&format!(r#"{{"version":3,"sources":["a"],"names":[],"mappings":"{}"}}"#, ";".repeat(3_000_000)))
                .is_none()
        );
        let long = format!(
            r#"{{"version":3,"sources":["{}","a\u0000b"],"names":[],"mappings":"AAAA;ACAA"}}"#,
            "x".repeat(5000)
        );
        let long = read(&long).expect("it is valid");
        let stack = "    at f (app.js:1:1)\n    at g (app.js:2:1)\n    at h (app.js:4294967295:4294967295)";
        assert_eq!(remap_stack(stack, &long), stack);
    }

    #[test]
    fn rewrites_stacks() {
        #[track_caller]
        fn check(stack: &str, expect: &str) {
            assert_eq!(remap_stack(stack, &map()), expect);
        }
        check("    at handler (app.js:2:12)\n", "    at handler (src/index.ts:5:3)");
        check(
            "Error: no\n    at <anonymous> (app.js:4:1)\n    at forEach (native)\n    at native\n    at run \
            (elias:web/fetch:9:9)\n",
            "Error: no\n    at src/db.ts:1:1\n    at forEach (native)",
        );
        check("    at helper (app.js:1:1)", "    at helper (app.js:1:1)");
        check("", "");
    }
}
