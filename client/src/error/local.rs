//! Errors of what this program keeps: its configuration, its record, its keys.

use super::{CliError, ErrorKind};
use crate::{record::RecordError, settings::SettingsError};
use cairn_keystore::{KeystoreError, PasswordError};
use std::io;

impl From<SettingsError> for CliError {
	fn from(error: SettingsError) -> Self {
		let hint = match &error {
			SettingsError::Parse { .. } => {
				Some("`cairn config show` lists every key with its value and origin")
			}
			SettingsError::Version { .. } => Some("a configuration file begins with `version = 1`"),
			SettingsError::NoHome => Some("set HOME, or the XDG folders"),
			SettingsError::Read { .. } => None,
		};
		CliError::of(ErrorKind::Configuration, error).maybe_hint(hint)
	}
}

impl From<RecordError> for CliError {
	fn from(error: RecordError) -> Self {
		let (kind, hint) = match &error {
			RecordError::Io { .. } => (ErrorKind::File, None),
			RecordError::Parse { .. } => (
				ErrorKind::Configuration,
				Some("move the file away; the deals remain on chain (`cairn deal ls`)"),
			),
			RecordError::Version { .. } => (
				ErrorKind::Configuration,
				Some(
					"use the version of cairn that wrote it, or move the file away; the deals remain on chain (`cairn deal ls`)",
				),
			),
			RecordError::Busy { .. } => (ErrorKind::Other, Some("wait for it, or end it")),
			RecordError::Missing { .. } => (ErrorKind::NotFound, Some("`cairn ls` lists the objects")),
		};
		CliError::of(kind, error).maybe_hint(hint)
	}
}

impl From<KeystoreError> for CliError {
	fn from(error: KeystoreError) -> Self {
		let (kind, hint) = match &error {
			KeystoreError::Missing { .. } => (
				ErrorKind::Key,
				Some("`cairn wallet list` shows the accounts, `cairn wallet new NAME` makes one"),
			),
			KeystoreError::Write(cairn_keystore::WriteError::Exists { .. }) => (
				ErrorKind::Key,
				Some("choose another name; an account is never overwritten"),
			),
			_ => (ErrorKind::Key, None),
		};
		CliError::of(kind, error).maybe_hint(hint)
	}
}

impl From<PasswordError> for CliError {
	fn from(error: PasswordError) -> Self {
		let (kind, hint) = match &error {
			// Ctrl-C at the prompt.
			PasswordError::Prompt(prompt) if prompt.kind() == io::ErrorKind::Interrupted => {
				(ErrorKind::Interrupted, None)
			}
			PasswordError::Prompt(_) => (
				ErrorKind::Key,
				Some("without a terminal, give the password by --password-fd or CAIRN_PASSWORD"),
			),
			_ => (ErrorKind::Key, None),
		};
		CliError::of(kind, error).maybe_hint(hint)
	}
}
