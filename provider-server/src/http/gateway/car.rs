//! CARs: a DAG, or a part of it, that the client verifies.

use super::{
	representation::{Content, Representation},
	resolve::{self, Target},
	walk_memory::{Metered, Remembered, WalkMemory},
	Asked, Car, CAR,
};
use crate::{http::body::BodyWriter, retrieval::NodeBlocks};
use cairn_car::{CarWriter, WriteError};
use cairn_dag::{
	walk::{walk, Scope, Walk},
	Codec, CodecError,
};
use cairn_provider_api::{ErrorKind, Problem};
use cid::Cid;
use std::{io, sync::Arc};

/// A CARv1 of what leads to the target and of what `car` names of it, depth first.
///
/// `entity-bytes` beyond a file's end have the answer of `dag-scope=block`, from which the client sees why.
///
/// # Errors
/// `NotImplemented` if all of a DAG is asked for whose root is of an unknown codec, `Busy` if no memory is left to walk it.
pub(super) fn represent(
	blocks: Arc<NodeBlocks>,
	asked: &Asked,
	target: Target,
	car: Car,
	memory: &WalkMemory,
) -> Result<Representation, Problem> {
	let cid = *target.cid();
	let follows_links = car.scope == Scope::All && car.range.is_none();
	if let (true, Err(CodecError::Unsupported { code })) = (follows_links, Codec::of(&cid)) {
		return Err(Problem::new(
			ErrorKind::NotImplemented,
			format!("the links of codec {code:#x} are not known here"),
		)
		.hint("add dag-scope=block, or use ?format=raw"));
	}
	let dups = if car.duplicates { 'y' } else { 'n' };
	let remembered = match (car.scope, car.range, car.duplicates) {
		(Scope::Block, None, _) => Remembered::NotEvenLinks,
		(Scope::All, None, true) => Remembered::Never,
		(_, _, true) => Remembered::WithLinks,
		(_, _, false) => Remembered::Always,
	};
	let source = Metered::new(blocks, remembered, memory)?;
	let etag = etag(asked, &target, &car);
	let way = target.way;
	Ok(Representation {
		disposition: Some(asked.named(true, &cid, "car")),
		..Representation::new(
			etag,
			format!("{CAR}; version=1; order=dfs; dups={dups}"),
			Content::Stream(Box::new(move |out| write(&source, &way, cid, &car, out))),
		)
	})
}

/// Weak: another version of this program may order blocks otherwise.
fn etag(asked: &Asked, target: &Target, car: &Car) -> String {
	let Car {
		scope,
		range,
		duplicates,
	} = car;
	let what = format!(
		"{}\n{}\n{scope:?}\n{range:?}\n{duplicates}",
		asked.root, asked.path
	);
	let hash = cairn_primitives::draw::blake2_256(&[what.as_bytes()]);
	format!("W/\"{}.car.{}\"", target.cid(), hex::encode(&hash[..8]))
}

fn write(
	source: &Metered<Arc<NodeBlocks>>,
	way: &[Cid],
	root: Cid,
	car: &Car,
	out: &mut BodyWriter,
) -> io::Result<()> {
	// The walk remembers what it has yielded, and comes to no block that the path leads through: that would link to
	// itself. A set of the writer's own would take as much memory again.
	let mut writer = CarWriter::new(out, &[root])
		.map_err(write_error)?
		.duplicates(true);
	for cid in way {
		let block = resolve::load(source.source(), cid).map_err(io::Error::other)?;
		writer.put(&block).map_err(write_error)?;
	}
	let mut walking: Walk<&Metered<Arc<NodeBlocks>>> =
		walk(source, root, car.scope).duplicates(car.duplicates);
	if let Some(range) = car.range {
		walking = walking.entity_bytes(range);
	}
	// Whatever is missing, damaged or of an unknown codec cuts the response, and so does a DAG that there is no memory
	// for: by then its head is sent.
	for block in walking {
		writer
			.put(&block.map_err(io::Error::other)?)
			.map_err(write_error)?;
	}
	writer.finish().map_err(write_error)?;
	Ok(())
}

fn write_error(error: WriteError) -> io::Error {
	match error {
		WriteError::Io(error) => error,
		error => io::Error::other(error),
	}
}
