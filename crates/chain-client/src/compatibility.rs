//! Which side must be upgraded when program and runtime do not understand each other.

use std::fmt;

/// Which side is older.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Upgrade {
	/// The runtime is newer than this program.
	ThisProgram,
	/// The runtime is older than this program.
	Node,
	/// Both carry the same version number but were built from different sources.
	EitherSide,
}

/// The runtime lacks something that this program uses, or has it in another form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Incompatible {
	/// Runtime version (`spec_version`) that this program was built for.
	pub ours: u32,
	/// Runtime version of the node.
	pub node: u32,
	/// What to upgrade.
	pub upgrade: Upgrade,
	/// Each difference, readable.
	pub differences: Vec<String>,
}

impl Incompatible {
	pub(crate) fn new(ours: u32, node: u32, differences: Vec<String>) -> Self {
		let upgrade = match node.cmp(&ours) {
			std::cmp::Ordering::Greater => Upgrade::ThisProgram,
			std::cmp::Ordering::Less => Upgrade::Node,
			std::cmp::Ordering::Equal => Upgrade::EitherSide,
		};
		Incompatible {
			ours,
			node,
			upgrade,
			differences,
		}
	}
}

impl fmt::Display for Incompatible {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		write!(
			f,
			"the chain's runtime (version {}) and this program (built for version {}) do not understand each \
			 other; ",
			self.node, self.ours
		)?;
		f.write_str(match self.upgrade {
			Upgrade::ThisProgram => "upgrade this program",
			Upgrade::Node => "upgrade the chain's runtime, or use an older release of this program",
			Upgrade::EitherSide => "build both from the same sources",
		})?;
		if let Some(first) = self.differences.first() {
			write!(f, " ({first}")?;
			if self.differences.len() > 1 {
				write!(f, " and {} more", self.differences.len() - 1)?;
			}
			f.write_str(")")?;
		}
		Ok(())
	}
}

impl std::error::Error for Incompatible {}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn says_what_to_do() {
		let newer = Incompatible::new(3, 4, vec!["call A.b is missing".into(), "x".into()]);
		assert_eq!(newer.upgrade, Upgrade::ThisProgram);
		assert_eq!(
			newer.to_string(),
			"the chain's runtime (version 4) and this program (built for version 3) do not understand each \
			 other; upgrade this program (call A.b is missing and 1 more)"
		);
		assert_eq!(Incompatible::new(4, 3, vec![]).upgrade, Upgrade::Node);
		assert_eq!(Incompatible::new(4, 4, vec![]).upgrade, Upgrade::EitherSide);
	}
}
