//! `cairn config`

use crate::{
	context::Context,
	error::CliError,
	output::{table, write_table},
	settings::{Origin, Setting},
};
use serde::Serialize;

/// Settings and where they come from.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
	/// Show every setting, its value and its origin
	///
	/// Flags beat environment variables, these beat the configuration file, that beats the defaults. The file
	/// is TOML: `version = 1`, then the keys shown here; those of `put.` stand in a `[put]` table.
	Show,
}

#[derive(Serialize)]
struct Report {
	settings: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
	key: &'static str,
	value: Option<String>,
	origin: String,
}

/// Runs the command.
pub fn run(context: &Context, command: Command) -> Result<(), CliError> {
	let Command::Show = command;
	let settings = &context.settings;
	fn row<T>(key: &'static str, setting: &Setting<T>, show: impl Fn(&T) -> Option<String>) -> Row {
		let origin: &Origin = &setting.origin;
		Row {
			key,
			value: show(&setting.value),
			origin: origin.to_string(),
		}
	}
	let path = |path: &std::path::PathBuf| Some(path.display().to_string());
	let mut config = row("config", &settings.config, path);
	if !settings.config.value.exists() {
		config.origin.push_str("; there is no such file");
	}
	let report = Report {
		settings: vec![
			config,
			row("node", &settings.node, |node| Some(node.clone())),
			row("account", &settings.account, Clone::clone),
			row("keystore", &settings.keystore, path),
			row("state-dir", &settings.state_dir, path),
			row("cache-dir", &settings.cache_dir, path),
			row("put.copies", &settings.copies, |copies| Some(copies.to_string())),
			row("put.tier", &settings.tier, |tier| Some(tier.to_string())),
			row("put.duration", &settings.duration, |duration| {
				Some(duration.to_string())
			}),
			row("put.max-price", &settings.max_price, |price| {
				price.map(|price| price.to_string())
			}),
		],
	};
	context.output.result("cairn.config/1", &report, |out| {
		let rows = report.settings.iter().map(|row| {
			let value = row.value.clone().unwrap_or_else(|| "(not set)".to_owned());
			[row.key.to_owned(), value, row.origin.clone()]
		});
		write_table(out, &table(["key", "value", "origin"], rows))
	})
}
