//! The help of the program: its commands in groups, two examples for each, and the exit codes.
//!
//! clap lists subcommands under one heading only, so the list is part of the program's help template. The commands are
//! not hidden instead, since shell completions and manual pages leave out hidden ones.

use clap::Command;
use clap::builder::StyledStr;
use std::fmt::Write;

/// A heading of `elias --help`, and the commands below it in their order.
struct Group {
    heading: &'static str,
    commands: &'static [CommandHelp],
}

/// A command's name, and examples that are shown at the end of its help.
struct CommandHelp {
    name: &'static str,
    examples: [&'static str; 2],
}

/// Shorthand for the table.
const fn command(name: &'static str, first: &'static str, second: &'static str) -> CommandHelp {
    CommandHelp { name, examples: [first, second] }
}

/// Every command stands in one group.
const GROUPS: &[Group] = &[
    Group {
        heading: "Build",
        commands: &[
            command("init", "elias init my-app --language=javascript", "elias init shop --template api"),
            command("build", "elias build -o dist/shop.wasm", "elias build src/index.ts --sign team.key"),
            command("check", "elias check", "elias check src/index.ts"),
            command("test", "elias test", "elias test cart --watch"),
            command("inspect", "elias inspect shop.wasm", "elias inspect shop.wasm --sbom"),
            command("types", "elias types --capability wit/geo.wit", "elias types -o types/capabilities.d.ts"),
            command("prepare", "elias prepare", "elias prepare --cache-dir /var/cache/elias"),
        ],
    },
    Group {
        heading: "Run",
        commands: &[
            command("dev", "elias dev --watch", "elias dev src/index.ts --listen 127.0.0.1:3000"),
            command("serve", "elias serve shop.wasm", "elias serve --platform --data-dir /var/lib/elias"),
            command(
                "trigger",
                "elias trigger schedule nightly",
                "elias trigger event order.paid --data '{\"total\": 5}'",
            ),
        ],
    },
    Group {
        heading: "Deploy",
        commands: &[
            command(
                "login",
                "elias login http://127.0.0.1:8788 --data-dir .elias",
                "elias login https://admin.example.com --browser",
            ),
            command("logout", "elias logout", "ELIAS_CONFIG_DIR=ci elias logout"),
            command("deploy", "elias deploy --env staging", "elias deploy shop.wasm --canary 10 --step 25,50,100"),
            command("versions", "elias versions shop", "elias versions delete shop 1"),
            command("diff", "elias diff shop 2 3", "elias diff shop 2 3 --json"),
            command("spec", "elias spec shop.wasm --openapi", "elias spec --diff shop@2 shop@3"),
            command("drafts", "elias drafts pull shop", "elias drafts build shop --check"),
            command("promote", "elias promote shop --from staging --canary 10", "elias promote shop --version 3"),
            command("rollback", "elias rollback shop", "elias rollback shop --to 2 --env staging"),
            command("canary", "elias canary shop pause", "elias canary shop abort --reason latency"),
            command("stages", "elias stages shop", "elias stages shop --promote --requests 5000"),
            command("compare", "elias compare shop", "elias compare shop --env staging --json"),
            command("targeting", "elias targeting shop --give '4 organization=acme'", "elias targeting shop --clear"),
            command(
                "flags",
                "elias flags set new-checkout --from-file new-checkout.json --env staging",
                "elias flags set new-checkout --disable",
            ),
            command("stop", "elias stop shop", "elias stop shop --env staging"),
            command("start", "elias start shop", "elias start shop --env staging"),
            command("purge", "elias purge shop", "elias purge shop --env staging"),
        ],
    },
    Group {
        heading: "Automate",
        commands: &[
            command("schedules", "elias schedules", "elias schedules run shop nightly"),
            command("jobs", "elias jobs --state dead", "elias jobs enqueue shop resize --input '{\"id\": 1}'"),
            command("workflows", "elias workflows --state waiting", "elias workflows show 01J9ZQ4T8C"),
            command("events", "elias events publish order.paid --data '{\"total\": 5}'", "elias events dead"),
            command(
                "subscriptions",
                "elias subscriptions pause shop order-paid",
                "elias subscriptions replay shop order-paid --since 2h",
            ),
            command(
                "workers",
                "elias workers call shop Cart ada add '\"tea\"' 2",
                "elias workers fork shop Cart ada ada-before --at 12",
            ),
        ],
    },
    Group {
        heading: "Observe",
        commands: &[
            command("status", "elias status", "elias status shop --json"),
            command("executions", "elias executions --component shop --failed", "elias executions --running"),
            command("traces", "elias traces list --failed", "elias traces show 4bf92f3577b34da6a3ce929d0e0e4736"),
            command("issues", "elias issues list --state new", "elias issues resolve 5f0c9d2e41b7a860 --version 4"),
            command("logs", "elias logs shop --follow", "elias logs shop --env staging --limit 50"),
            command("cancel", "elias cancel 01J9ZQ4T8C", "elias cancel 01J9ZQ4T8C --json"),
            command(
                "alerts",
                "elias alerts list",
                "elias alerts silence --rule errors --component shop --for 2h --reason 'known, mended by 5 pm'",
            ),
            command("db", "elias db shop", "elias db shop 'select * from orders' --limit 20"),
            command("metrics", "elias metrics", "elias metrics latency-p99 --component shop --since 24h --step 5m"),
            command("usage", "elias usage --since 7d", "elias usage --all --csv"),
            command("adoption", "elias adoption", "elias adoption --weeks 26 --tenant acme"),
            command("doctor", "elias doctor", "elias doctor --json"),
            command("audit", "elias audit --limit 100", "elias audit export --since 7days"),
            command("security", "elias security events", "elias security events --kind denied --since 2h"),
        ],
    },
    Group {
        heading: "Secure",
        commands: &[
            command("keys", "elias keys new example.com/team", "elias keys show team.key"),
            command(
                "verify",
                "elias verify shop.wasm --key example.com/team+0f3a9c1e+AVmJ",
                "elias verify --log https://log.example.com --log-key example.com/log+0f3a9c1e+AVmJ",
            ),
            command("packages", "elias packages audit shop.wasm", "elias packages policy --refuse-vulnerable high"),
            command(
                "secrets",
                "elias secrets set shop API_TOKEN --from-file token.txt",
                "elias secrets list shop --env staging",
            ),
        ],
    },
    Group {
        heading: "Administer",
        commands: &[
            command(
                "tokens",
                "elias tokens create ci --role developer --days 30 --component shop",
                "elias tokens list",
            ),
            command("sessions", "elias sessions list", "elias sessions end 01JZ8Q4M3V5T6N7P8R9S0A1B2C"),
            command(
                "roles",
                "elias roles set shop-deployer --policy shop.cedar --ceiling developer",
                "elias roles list",
            ),
            command("users", "elias users create ada --organization analysts", "elias users set ada --disabled"),
            command("organizations", "elias organizations create analysts", "elias organizations list"),
            command("tenants", "elias tenants create acme --quota versions=50", "elias tenants show acme"),
            command("backup", "elias backup platform.tar", "elias backup platform.tar --url http://127.0.0.1:8788"),
            command(
                "restore",
                "elias restore platform.tar --data-dir restored",
                "elias restore /backups/platform.tar --data-dir /var/lib/elias",
            ),
            command(
                "move-store",
                "elias move-store --data-dir .elias --to postgres://localhost/elias",
                "elias move-store --data-dir /var/lib/elias --to postgres://db.internal/elias",
            ),
        ],
    },
    Group {
        heading: "Set up a shell",
        commands: &[
            command("completions", "elias completions bash", "elias completions zsh"),
            command("man", "elias man", "elias man --dir man1"),
        ],
    },
];

/// How the process ends. docs/reference/cli.md has the same codes.
const EXIT_CODES: &[(u8, &str)] = &[
    (0, "success; for serve and dev: stopped by a signal"),
    (1, "failure; standard error has error[CODE] and the reason"),
    (2, "invalid command line"),
    (130, "stopped by a second signal, before requests ended"),
];

/// Adds groups, examples and exit codes to the definition that is derived.
pub(crate) fn describe(command: Command) -> Command {
    let template = template(&command);
    let codes = exit_codes(&command);
    let command = command.help_template(template).after_help(codes);
    command.mut_subcommands(|subcommand| {
        let Some(help) = GROUPS.iter().flat_map(|group| group.commands).find(|help| help.name == subcommand.get_name())
        else {
            return subcommand;
        };
        let examples = examples(&subcommand, help);
        subcommand.after_help(examples)
    })
}

/// clap's own template, with the groups in the place of its list of commands.
fn template(command: &Command) -> StyledStr {
    let (header, literal) = (command.get_styles().get_header(), command.get_styles().get_literal());
    let width = GROUPS.iter().flat_map(|group| group.commands).map(|help| help.name.len()).max().unwrap_or(0);
    let mut text = StyledStr::new();
    text.push_str("{before-help}{about-with-newline}\n{usage-heading} {usage}\n");
    for group in GROUPS {
        let _ = writeln!(text, "\n{header}{}:{header:#}", group.heading);
        for CommandHelp { name, .. } in group.commands {
            let about = command.find_subcommand(name).and_then(Command::get_about).cloned().unwrap_or_default();
            let space = width - name.len() + 2;
            let _ = writeln!(text, "  {literal}{name}{literal:#}{:space$}{about}", "");
        }
    }
    let _ = writeln!(text, "\n{header}Options:{header:#}");
    text.push_str("{options}\n\nRun 'elias COMMAND --help' for the options of a command{after-help}");
    text
}

fn examples(command: &Command, help: &CommandHelp) -> StyledStr {
    let (header, [first, second]) = (command.get_styles().get_header(), help.examples);
    let mut text = StyledStr::new();
    let _ = write!(text, "{header}Examples:{header:#}\n  {first}\n  {second}");
    text
}

fn exit_codes(command: &Command) -> StyledStr {
    let header = command.get_styles().get_header();
    let mut text = StyledStr::new();
    let _ = write!(text, "{header}Exit codes:{header:#}");
    for (code, meaning) in EXIT_CODES {
        let _ = write!(text, "\n  {code:<4} {meaning}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Arg;
    use clap::builder::Str;
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    /// Every command with its arguments and options, for people who search.
    const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/command-line.txt");

    /// The columns of a terminal in which the list of commands must not wrap.
    const COLUMNS: usize = 80;

    fn entries() -> impl Iterator<Item = &'static CommandHelp> {
        GROUPS.iter().flat_map(|group| group.commands)
    }

    /// Words of a command line as a shell splits it: at spaces that are not between quotes, up to a comment, a
    /// redirection or the end of the command.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
        for letter in line.chars() {
            match (quote, letter) {
                (Some(opened), _) if letter == opened => quote = None,
                (None, '\'' | '"') => {
                    quote = Some(letter);
                    word = Some(word.unwrap_or_default());
                }
                (None, ' ') => words.extend(word.take()),
                _ => word.get_or_insert_default().push(letter),
            }
        }
        words.extend(word);
        let is_end = |word: &str| matches!(word, "#" | "<" | ">" | "|" | "&" | "&&" | ";");
        let words = words.into_iter().take_while(|word| !is_end(word));
        // Assignments of variables precede the program.
        words.skip_while(|word| word != "elias").collect()
    }

    /// Command lines of a page: lines of its indented code blocks that begin with the program, a prompt and variables
    /// aside. Fenced ones are run by `tests/docs`.
    fn command_lines(page: &str) -> impl Iterator<Item = &str> {
        page.lines().filter_map(|line| line.strip_prefix("    ")).filter(|line| {
            let line = line.strip_prefix("$ ").unwrap_or(line);
            line.split(' ').find(|word| !word.contains('=')) == Some("elias")
        })
    }

    #[test]
    fn every_command_stands_in_one_group() {
        let mut groups = BTreeMap::<&str, usize>::new();
        for help in entries() {
            *groups.entry(help.name).or_default() += 1;
        }
        let command = crate::command_line();
        for subcommand in command.get_subcommands() {
            assert_eq!(groups.remove(subcommand.get_name()), Some(1), "{}", subcommand.get_name());
        }
        assert!(groups.is_empty(), "there are no such commands: {groups:?}");
    }

    #[test]
    fn every_example_is_valid_and_is_of_its_command() {
        for help in entries() {
            for example in help.examples {
                let words = words(example);
                assert_eq!(words.get(1).map(String::as_str), Some(help.name), "{example}");
                if let Err(error) = crate::command_line().try_get_matches_from(&words) {
                    panic!("{example}: {error}");
                }
            }
        }
    }

    #[test]
    fn the_help_fits_a_terminal_and_has_every_command() {
        let mut command = crate::command_line().term_width(COLUMNS);
        let help = command.render_help().to_string();
        for line in help.lines() {
            assert!(line.chars().count() <= COLUMNS, "{line}");
        }
        for CommandHelp { name, .. } in entries() {
            assert_eq!(
                help.lines().filter(|line| line.starts_with(&format!("  {name} "))).count(),
                1,
                "{name}: {help}"
            );
        }
        for wanted in ["Usage: elias <COMMAND>", "\nBuild:\n", "\nOptions:\n", "--version", "\nExit codes:\n  0 "] {
            assert!(help.contains(wanted), "{wanted}: {help}");
        }
        assert!(!help.contains('{'), "{help}");
    }

    #[test]
    fn summaries_are_phrases_in_the_imperative() {
        fn check(command: &Command) {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let verb = about.split([' ', ',']).next().unwrap_or_default();
            assert!(!about.is_empty() && !about.ends_with('.'), "{}: {about}", command.get_name());
            assert!(!verb.ends_with('s') || verb.ends_with("ss"), "{}: {about}", command.get_name());
            command.get_subcommands().for_each(check);
        }
        crate::command_line().get_subcommands().for_each(check);
    }

    #[test]
    fn a_command_shows_its_examples() {
        let mut command = crate::command_line();
        let dev = command.find_subcommand_mut("dev").expect("there is one");
        let help = dev.render_help().to_string();
        assert!(help.contains("Examples:\n  elias dev --watch\n  elias dev src/index.ts"), "{help}");
    }

    #[test]
    fn every_command_line_of_the_documentation_is_valid() {
        // Where the database is stands in a variable: a password is not for a command line.
        const BY_VARIABLE: &str = "elias move-store --data-dir DATA";
        fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(folder).expect("a folder of the repository") {
                let path = entry.expect("a folder of the repository").path();
                if path.is_dir() {
                    pages(&path, found);
                } else if path.extension().is_some_and(|extension| extension == "md") {
                    found.push(path);
                }
            }
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut found = vec![root.join("README.md")];
        pages(&root.join("docs"), &mut found);
        let mut count = 0;
        for page in found {
            let text = std::fs::read_to_string(&page).expect("a page is text");
            for line in command_lines(&text).filter(|line| *line != BY_VARIABLE) {
                count += 1;
                if let Err(error) = crate::command_line().try_get_matches_from(words(line)) {
                    panic!("{}: {line}: {error}", page.display());
                }
            }
        }
        assert!(count > 100, "only {count} command lines were found");
    }

    /// Adds a command and those below it: arguments and options, with the names of their values, by the command's path.
    fn list(command: &Command, path: &str, all: &mut BTreeMap<String, String>) {
        const PLATFORM: Option<&str> = Some("Platform");
        let values = |arg: &Arg| {
            let names: Vec<_> = arg.get_value_names().unwrap_or_default().iter().map(Str::as_str).collect();
            names.join(" ")
        };
        let mut text = format!("elias {path}");
        for positional in command.get_positionals() {
            let name = values(positional);
            let _ = if positional.is_required_set() { write!(text, " {name}") } else { write!(text, " [{name}]") };
        }
        text.push('\n');
        let own = command.get_arguments().filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version"));
        let (platform, own): (Vec<_>, Vec<_>) = own.partition(|arg| arg.get_help_heading() == PLATFORM);
        let options = own.into_iter().filter_map(|arg| {
            let value = if arg.get_action().takes_values() { format!(" {}", values(arg)) } else { String::new() };
            Some(format!("  --{}{value}\n", arg.get_long()?))
        });
        let mut options: Vec<_> = options.collect();
        options.sort_unstable();
        text.extend(options);
        if !platform.is_empty() {
            text.push_str("  options of the platform\n");
        }
        all.insert(path.to_owned(), text);
        for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
            list(below, &format!("{path} {}", below.get_name()), all);
        }
    }

    #[test]
    fn the_reference_has_every_command_and_every_option() {
        let mut command = crate::command_line();
        command.build();
        let mut all = BTreeMap::new();
        for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
            list(below, below.get_name(), &mut all);
        }
        let text: String = all.into_values().collect();
        if std::env::var_os("ELIAS_UPDATE").is_some() {
            std::fs::write(REFERENCE, &text).expect("written");
        }
        let documented = std::fs::read_to_string(REFERENCE).expect("the reference is there");
        assert_eq!(text, documented, "run this test with ELIAS_UPDATE=1, and read what changed");
    }

    #[test]
    fn the_documentation_has_groups_commands_and_exit_codes() {
        let text = include_str!("../../../docs/reference/cli.md");
        for Group { heading, .. } in GROUPS {
            assert!(text.contains(&format!("\n{heading}\n\n- ")), "{heading}");
        }
        for (code, meaning) in EXIT_CODES {
            assert!(text.contains(&format!("| {code} | {meaning} |")), "{code}");
        }
        for CommandHelp { name, .. } in entries() {
            assert!(text.contains(&format!("`elias {name}")) || text.contains(&format!("elias {name} ")), "{name}");
        }
    }
}
