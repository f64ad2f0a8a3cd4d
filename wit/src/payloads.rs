//! A component's sections, without looking into its core modules, which are most of its bytes.

use wasmparser::{BinaryReaderError, Chunk, Parser, Payload};

/// The payloads of a component and of the components in it, as [`Parser::parse_all`] gives them, but for those within
/// core modules: each of these is one `ModuleSection`, without an `End`.
pub(crate) fn payloads(component: &[u8]) -> impl Iterator<Item = Result<Payload<'_>, BinaryReaderError>> {
    let mut rest = component;
    let mut parser = Parser::new(0);
    let mut outer = Vec::new();
    let mut is_over = false;
    std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        let payload = match parser.parse(rest, true) {
            Ok(Chunk::Parsed { payload, consumed }) => {
                rest = &rest[consumed..];
                payload
            }
            Ok(Chunk::NeedMoreData(_)) => unreachable!("the parser knows that there is no more"),
            Err(error) => {
                is_over = true;
                return Some(Err(error));
            }
        };
        match &payload {
            Payload::ModuleSection { parser: inner, unchecked_range } => {
                let bytes = (unchecked_range.end - unchecked_range.start) as usize;
                let Some(after) = rest.get(bytes..) else {
                    // It is cut short, and its own parser says where.
                    is_over = true;
                    return inner.clone().parse_all(rest).find(Result::is_err);
                };
                rest = after;
            }
            Payload::ComponentSection { parser: inner, .. } => {
                outer.push(std::mem::replace(&mut parser, inner.clone()));
            }
            Payload::End(_) => match outer.pop() {
                Some(next) => parser = next,
                None => is_over = true,
            },
            _ => {}
        }
        Some(Ok(payload))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_modules_are_passed_over() {
        let text = r#"(component
            (core module (func) (memory 1))
            (component (type string) (component (core module (func))))
            (type u32)
            (core module))"#;
        let component = wat::parse_str(text).expect("valid text");
        let mut depth = 0;
        let mut expected = Vec::new();
        for payload in Parser::new(0).parse_all(&component) {
            let payload = payload.expect("valid");
            let is_end = matches!(payload, Payload::End(_));
            if depth == 0 {
                expected.push(format!("{payload:?}"));
            }
            let is_module = matches!(payload, Payload::ModuleSection { .. });
            // Within a module nothing but its end is nested.
            depth = if is_module { 1 } else { depth - i32::from(is_end && depth > 0) };
        }
        let found: Vec<String> = payloads(&component).map(|payload| format!("{:?}", payload.expect("valid"))).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_component_that_is_cut_short_is_an_error() {
        let text = r#"(component (core module (func) (data "abc")) (component (core module)) (type string))"#;
        let component = wat::parse_str(text).expect("valid text");
        let is_whole = |bytes: &[u8]| payloads(bytes).all(|payload| payload.is_ok());
        assert!(is_whole(&component));
        for end in 0..component.len() {
            let as_all = Parser::new(0).parse_all(&component[..end]).all(|payload| payload.is_ok());
            assert_eq!(is_whole(&component[..end]), as_all, "{end} bytes");
        }
    }
}
