//! Bounds the size of functions and of all code before it is compiled.

use crate::error::Error;
use crate::limits::Limits;
use elias_contract::ErrorCode;
use wasmparser::{Parser, Payload};

/// Refuses a module or component with a function, or functions together, over the limits. The time that the compiler
/// takes for a function grows faster than the function.
///
/// # Errors
/// `compile-limit`; `bad-component` for what is cut short or no WebAssembly.
pub(crate) fn check(bytes: &[u8], limits: &Limits) -> Result<(), Error> {
    let mut code_bytes: u64 = 0;
    // Modules nested in a component are parsed too.
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload
            .map_err(|error| Error::new(ErrorCode::BadComponent, format!("the component is not valid: {error}")))?;
        let Payload::CodeSectionEntry(body) = payload else { continue };
        let range = body.range();
        let function_bytes = range.end - range.start;
        if function_bytes > limits.function_bytes {
            let message = format!(
                "one of its functions has {function_bytes} bytes of WebAssembly; at most {} are compiled \
                 (function-bytes): split the function, or have it made of data",
                limits.function_bytes
            );
            return Err(Error::new(ErrorCode::CompileLimit, message));
        }
        code_bytes = code_bytes.saturating_add(function_bytes);
        if code_bytes > limits.code_bytes {
            let message = format!(
                "its functions have more than {} bytes of WebAssembly together (code-bytes): make the component \
                 smaller",
                limits.code_bytes
            );
            return Err(Error::new(ErrorCode::CompileLimit, message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_functions_and_much_code_are_refused_wherever_they_are_nested() {
        let body = "i32.const 1 drop ".repeat(100);
        let functions = format!("module (func {body}) (func {body})");
        for text in [format!("({functions})"), format!("(component (component (core {functions})))")] {
            let bytes = wat::parse_str(&text).expect("valid text");
            let check = |function_bytes, code_bytes| {
                super::check(&bytes, &Limits { function_bytes, code_bytes, ..Limits::default() })
                    .map_err(|error| (error.code(), error.to_string()))
            };
            assert_eq!(check(1_000, 1_000), Ok(()));
            let (code, message) = check(100, 1_000).expect_err("a function is too large");
            assert!(code == ErrorCode::CompileLimit && message.contains("function-bytes"), "{message}");
            let (code, message) = check(1_000, 500).expect_err("both together are too much");
            assert!(code == ErrorCode::CompileLimit && message.contains("code-bytes"), "{message}");
        }
        let cut = check(b"\0asm\x0d\0\x01\0\x01\x20", &Limits::default()).expect_err("cut short");
        assert_eq!(cut.code(), ErrorCode::BadComponent);
    }
}
