//! Modules that wait do so together.
//!
//! The bundler awaits one module after another. ECMA-262 (16.2.1.5, "Evaluate") starts all that a module imports, and
//! then waits for all. Where more than one module waits, each is a function of its own in the bundle, which the calls
//! in its importers start.

/// Lets successive calls of modules wait for each other together: `await init_a(); init_b(); await init_c();` becomes
/// `await Promise.all([init_a(), init_b(), init_c()]);`. Lines stay where they are, for the source map.
pub(super) fn together(code: &str) -> String {
    let lines: Vec<&str> = code.split('\n').collect();
    let mut written = Vec::with_capacity(lines.len());
    let mut at = 0;
    while at < lines.len() {
        let end = at + lines[at..].iter().take_while(|line| call(line).is_some()).count();
        let run = &lines[at..end];
        if run.iter().filter(|line| line.trim_start().starts_with("await ")).count() < 2 {
            let end = end.max(at + 1);
            written.extend(lines[at..end].iter().map(|&line| line.to_owned()));
            at = end;
            continue;
        }
        for (index, line) in run.iter().enumerate() {
            let indent = &line[..line.len() - line.trim_start().len()];
            let before = if index == 0 { "await Promise.all([" } else { "" };
            let after = if index + 1 == run.len() { "]);" } else { "," };
            written.push(format!("{indent}{before}{}{after}", call(line).unwrap_or_default()));
        }
        at = end;
    }
    written.join("\n")
}

/// The call in a line that does nothing but start a module.
fn call(line: &str) -> Option<&str> {
    let call = line.trim().strip_suffix(';')?;
    let call = call.strip_prefix("await ").unwrap_or(call);
    let name = call.strip_prefix("init_")?.strip_suffix("()")?;
    name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$').then_some(call)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_all_at_once() {
        let code = "\tinit_x();\n\tawait init_a();\n\tinit_b$1();\n\tawait init_c();\n\tf();\n\tawait init_d();\n";
        let wanted =
            "\tawait Promise.all([init_x(),\n\tinit_a(),\n\tinit_b$1(),\n\tinit_c()]);\n\tf();\n\tawait init_d();\n";
        assert_eq!(together(code), wanted);
        assert_eq!(together("init_a();\ninit_b();"), "init_a();\ninit_b();");
    }
}
