//! The flags of the limits, one for each setting of elias.toml's `[limits]`.

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, value_parser};
use elias_project::settings::SETTINGS;

/// The limits that were given as flags.
#[derive(Debug, Clone, Default)]
pub struct SettingFlags {
    given: Vec<(&'static str, u64)>,
}

impl SettingFlags {
    /// Names and values, which are not checked yet.
    #[must_use]
    pub fn given(&self) -> &[(&'static str, u64)] {
        &self.given
    }
}

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        SETTINGS.iter().fold(command, |command, setting| {
            let (help, default) = (setting.help, setting.default);
            let help = if default > 0 { format!("{help} [default: {default}]") } else { help.to_owned() };
            let flag = Arg::new(setting.name).long(setting.name).value_name("N").value_parser(value_parser!(u64));
            command.arg(flag.help(help).help_heading("Limits (also keys of elias.toml)"))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = SETTINGS.iter().filter_map(|setting| Some((setting.name, *matches.get_one(setting.name)?)));
        Ok(Self { given: given.collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
