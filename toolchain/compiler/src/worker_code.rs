//! What a component with service workers carries of its code beside the image, so that workers of other versions can go
//! on in it.

use elias_contract::digest;

/// The modules that are evaluated into the image beside those that every component has, given by name and source, as
/// [`elias_contract::swap`] names them. Where what they are depends on the project, its digest is a part of the name.
pub(crate) fn module_names(modules: &[(String, &str)]) -> String {
    // Those that every component has come without their source.
    let evaluated = modules.iter().filter(|(_, source)| !source.is_empty());
    let names: Vec<String> = evaluated.map(|(name, source)| format!("{name}#{}", digest(source.as_bytes()))).collect();
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_that_differ_have_different_names() {
        let names = |sources: &[(&str, &'static str)]| {
            let modules: Vec<_> = sources.iter().map(|(name, source)| ((*name).to_owned(), *source)).collect();
            module_names(&modules)
        };
        assert_eq!(names(&[("elias:web/url/url.js", "")]), "", "every component has it");
        let (one, other) = (names(&[("locales", "de")]), names(&[("locales", "fr")]));
        assert!(one != other && one.starts_with("locales#"), "{one} {other}");
        assert_eq!(names(&[("a", "1"), ("b", "2")]).split(' ').count(), 2);
    }
}
