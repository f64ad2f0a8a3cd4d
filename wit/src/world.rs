//! The world of a component: the names of what it imports and exports.

use crate::layout::LayoutError;
use crate::payloads::payloads;
use wasmparser::Payload;

/// The names that a component imports and exports, in its order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct World {
    /// The imports, such as `wasi:http/types@0.2.12`.
    pub imports: Vec<String>,
    /// The exports.
    pub exports: Vec<String>,
}

/// Reads the world of a component. What is nested in it has worlds of its own, which are not looked at.
///
/// # Errors
/// [`LayoutError::Malformed`] for what is not WebAssembly, or cut short.
pub fn read(component: &[u8]) -> Result<World, LayoutError> {
    let (mut world, mut depth) = (World::default(), 0_u32);
    for payload in payloads(component) {
        match payload? {
            Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    world.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    world.exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(world)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_component_itself_is_looked_at_and_nothing_in_it() {
        let nested = r#"(component (import "a:b/c" (instance)) (component (import "d:e/f" (instance)))
            (core module (func (export "run"))) (instance $i) (export "g:h/i" (instance $i)))"#;
        let world = read(&wat::parse_str(nested).unwrap()).unwrap();
        assert_eq!((world.imports, world.exports), (vec!["a:b/c".to_owned()], vec!["g:h/i".to_owned()]));
        assert!(read(b"\0asm").is_err());
    }
}
