//! The examples that a project of `elias init`, or a draft of a platform, starts from. `{{name}}` in a text is the
//! project's name.

use clap::ValueEnum;

/// Files by their paths.
pub type Files = &'static [(&'static str, &'static str)];

/// The language of an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// JavaScript modules, with types in JSDoc
    #[value(name = "javascript")]
    JavaScript,
    /// TypeScript modules
    #[value(name = "typescript")]
    TypeScript,
}

/// The example that a project starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Template {
    /// An HTML page
    Hello,
    /// Routes with Hono
    Hono,
    /// A JSON API with a database, with ELIAS.createAPI
    Api,
    /// A function from an input to an output, with ELIAS.createComponent
    Worker,
    /// A function that runs each night
    Schedule,
    /// A function that handles events
    Event,
}

/// The files below `files/NAME`.
macro_rules! files {
    ($template:literal: $($path:literal),*) => {
        &[$(($path, include_str!(concat!("../files/", $template, "/", $path)))),*]
    };
}

/// The files below `files/NAME` in JavaScript, where the test states no types: it is that of TypeScript under another
/// name, so that there is one copy of it.
macro_rules! javascript {
    ($template:literal, $source:literal) => {
        &[
            ("package.json", include_str!(concat!("../files/", $template, "/package.json"))),
            ("elias.toml", include_str!(concat!("../files/", $template, "/elias.toml"))),
            ("src/index.js", include_str!(concat!("../files/", $template, "/src/", $source))),
            ("test/index.test.js", include_str!(concat!("../files/", $template, "/test/index.test.ts"))),
        ]
    };
}

impl Language {
    /// The files that every project of the language has.
    #[must_use]
    pub fn common(self) -> Files {
        match self {
            Self::JavaScript => &[
                (".gitignore", include_str!("../files/common/gitignore")),
                ("tsconfig.json", include_str!("../files/common/tsconfig.javascript.json")),
            ],
            Self::TypeScript => &[
                (".gitignore", include_str!("../files/common/gitignore")),
                ("tsconfig.json", include_str!("../files/common/tsconfig.json")),
            ],
        }
    }
}

impl Template {
    /// Its files in a language.
    #[must_use]
    pub fn files(self, language: Language) -> Files {
        match language {
            Language::JavaScript => self.javascript(),
            Language::TypeScript => self.typescript(),
        }
    }

    /// The template with this name, such as `hello`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        <Self as ValueEnum>::from_str(name, false).ok()
    }

    fn typescript(self) -> Files {
        match self {
            Self::Hello => files!("hello": "package.json", "elias.toml", "src/index.ts", "test/index.test.ts"),
            Self::Hono => files!("hono": "package.json", "elias.toml", "src/index.ts", "test/index.test.ts"),
            Self::Api => files!(
                "api": "package.json", "elias.toml", "migrations/0001_notes.sql", "src/index.ts", "test/index.test.ts"
            ),
            Self::Worker => files!("worker": "package.json", "elias.toml", "src/index.ts", "test/index.test.ts"),
            Self::Schedule => files!("schedule": "package.json", "elias.toml", "src/index.ts", "test/index.test.ts"),
            Self::Event => files!("event": "package.json", "elias.toml", "src/index.ts", "test/index.test.ts"),
        }
    }

    fn javascript(self) -> Files {
        match self {
            Self::Hello => files!("hello": "package.json", "elias.toml", "src/index.js", "test/index.test.js"),
            // The example states no types either.
            Self::Hono => javascript!("hono", "index.ts"),
            Self::Api => files!(
                "api": "package.json", "elias.toml", "migrations/0001_notes.sql", "src/index.js", "test/index.test.js"
            ),
            Self::Worker => javascript!("worker", "index.js"),
            Self::Schedule => javascript!("schedule", "index.js"),
            Self::Event => javascript!("event", "index.js"),
        }
    }

    /// Whether it runs before packages are installed.
    #[must_use]
    pub fn is_alone(self) -> bool {
        !matches!(self, Self::Hono)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_template_has_the_same_files_in_both_languages() {
        for template in Template::value_variants() {
            let paths = |language| template.files(language).iter().map(|(path, _)| *path).collect::<Vec<_>>();
            let javascript = paths(Language::JavaScript);
            let typescript: Vec<_> =
                paths(Language::TypeScript).iter().map(|path| path.replace(".ts", ".js")).collect();
            assert_eq!(javascript, typescript, "{template:?}");
            for (path, text) in template.files(Language::JavaScript) {
                assert!(!path.ends_with(".ts") && !text.contains("index.ts"), "{template:?}: {path}");
            }
        }
    }

    #[test]
    fn templates_are_found_by_their_names() {
        assert_eq!(Template::named("schedule"), Some(Template::Schedule));
        assert_eq!((Template::named("Hello"), Template::named("")), (None, None));
    }
}
