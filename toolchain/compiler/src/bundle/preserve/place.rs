//! Where a module is, for `import.meta.url` and its kin.

/// Where a module is, as it is told: below `/app`, for the place on the builder's disk says nothing in a component.
/// A path outside of the project has `_` for each folder up; what is installed above it is as if it were installed
/// in it.
pub(super) fn place(file: &str) -> String {
    let installed = file.find("node_modules/").filter(|at| file.starts_with("../") && file[..*at].ends_with('/'));
    let inside = installed.map_or(file, |at| &file[at..]);
    format!("/app/{}", inside.replace("../", "_/"))
}

/// A path within a URL.
pub(super) fn escape_path(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' | b'@' | b'+' | b'$' => {
                escaped.push(char::from(byte));
            }
            byte => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #[test]
    fn tells_places_that_are_the_same_everywhere() {
        for (file, wanted) in [
            ("src/a.js", "/app/src/a.js"),
            ("node_modules/p/x.js", "/app/node_modules/p/x.js"),
            ("../../node_modules/p/x.js", "/app/node_modules/p/x.js"),
            ("../shared/x.js", "/app/_/shared/x.js"),
        ] {
            assert_eq!(super::place(file), wanted);
        }
        assert_eq!(super::escape_path("/app/a b#.js"), "/app/a%20b%23.js");
    }
}
