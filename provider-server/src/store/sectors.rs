//! Sectors in the database, and the numbers they take.

use super::{
	deals, decode, find,
	tables::{CLOSED_SECTORS, META, SECTORS},
	Store, StoreError,
};
use crate::{
	deal::{DealEvent, ProposalHash},
	sector::{Sector, SectorDeal},
};
use cairn_primitives::{BlockNumber, ProofSpec, ProofTypeId, SectorNumber};
use codec::{Decode, Encode};
use redb::{ReadableTable, WriteTransaction};

impl Store {
	/// The lowest sector number that was never given out here.
	///
	/// # Errors
	/// If the database cannot be read.
	pub fn next_sector_number(&self) -> Result<SectorNumber, StoreError> {
		Ok(self.meta("next_sector")?.unwrap_or(0))
	}

	/// Makes sure that numbers below `number` are not given out: the chain has used them.
	///
	/// # Errors
	/// If the database cannot be written.
	pub fn skip_sector_numbers(&self, number: SectorNumber) -> Result<(), StoreError> {
		let write = self.write()?;
		{
			let mut meta = write.open_table(META)?;
			let next = read_number(&meta)?;
			if number > next {
				meta.insert("next_sector", number.encode().as_slice())?;
			}
		}
		write.commit()?;
		Ok(())
	}

	/// Takes the next number for a new sector and puts the deals into it, in one transaction. The
	/// number is never given out again.
	///
	/// # Errors
	/// [`StoreError::Deal`] if one of the deals does not wait for a sector: nothing is written then.
	pub fn open_sector(
		&self,
		proof_type: ProofTypeId,
		spec: ProofSpec,
		contents: Vec<SectorDeal>,
		at: BlockNumber,
	) -> Result<Sector, StoreError> {
		let write = self.write()?;
		let number = {
			let mut meta = write.open_table(META)?;
			let number = read_number(&meta)?;
			meta.insert("next_sector", (number + 1).encode().as_slice())?;
			number
		};
		let mut changes_needs = false;
		for deal in &contents {
			changes_needs |= deals::apply(&write, &deal.proposal_hash, DealEvent::Packed { sector: number })?;
		}
		let sector = Sector::packed(number, proof_type, spec, contents, at);
		put(&write, &sector)?;
		self.commit(write, changes_needs)?;
		Ok(sector)
	}

	/// A sector, open or closed.
	///
	/// # Errors
	/// If the database cannot be read.
	pub fn sector(&self, number: SectorNumber) -> Result<Option<Sector>, StoreError> {
		let read = self.read()?;
		let (open, closed) = (read.open_table(SECTORS)?, read.open_table(CLOSED_SECTORS)?);
		find([("sectors", open), ("closed_sectors", closed)], &number)
	}

	/// Every sector that something can still happen to, by number.
	///
	/// # Errors
	/// If the database cannot be read.
	pub fn open_sectors(&self) -> Result<Vec<Sector>, StoreError> {
		self.all_sectors("sectors", SECTORS)
	}

	/// Every sector in a final state, by number.
	///
	/// # Errors
	/// If the database cannot be read.
	pub fn closed_sectors(&self) -> Result<Vec<Sector>, StoreError> {
		self.all_sectors("closed_sectors", CLOSED_SECTORS)
	}

	fn all_sectors(
		&self,
		name: &'static str,
		table: redb::TableDefinition<u32, &[u8]>,
	) -> Result<Vec<Sector>, StoreError> {
		let read = self.read()?;
		let table = read.open_table(table)?;
		let mut sectors = Vec::new();
		for entry in table.iter()? {
			sectors.push(decode(name, entry?.1.value())?);
		}
		Ok(sectors)
	}

	/// Changes a sector, and deals with it, in one transaction; gives the sector.
	///
	/// # Errors
	/// [`StoreError::NotFound`], and what `change` returns: nothing is written then.
	pub fn update_sector(
		&self,
		number: SectorNumber,
		change: impl FnOnce(&mut Sector) -> Result<Vec<(ProposalHash, DealEvent)>, StoreError>,
	) -> Result<Sector, StoreError> {
		let write = self.write()?;
		let mut sector = {
			let table = write.open_table(SECTORS)?;
			let found = table.get(number)?;
			let bytes = found.ok_or(StoreError::NotFound("such open sector"))?;
			decode::<Sector>("sectors", bytes.value())?
		};
		let mut changes_needs = false;
		for (hash, event) in change(&mut sector)? {
			changes_needs |= deals::apply(&write, &hash, event)?;
		}
		put(&write, &sector)?;
		self.commit(write, changes_needs)?;
		Ok(sector)
	}
}

fn read_number(meta: &redb::Table<&'static str, &'static [u8]>) -> Result<SectorNumber, StoreError> {
	match meta.get("next_sector")? {
		Some(bytes) => {
			SectorNumber::decode(&mut bytes.value()).map_err(|_| StoreError::Corrupt { table: "meta" })
		}
		None => Ok(0),
	}
}

fn put(write: &WriteTransaction, sector: &Sector) -> Result<(), StoreError> {
	let bytes = sector.encode();
	if sector.state.is_final() {
		write.open_table(SECTORS)?.remove(sector.number)?;
		write
			.open_table(CLOSED_SECTORS)?
			.insert(sector.number, bytes.as_slice())?;
	} else {
		write
			.open_table(SECTORS)?
			.insert(sector.number, bytes.as_slice())?;
	}
	Ok(())
}

#[cfg(test)]
mod tests {
	use super::{super::tests::store, *};
	use crate::{
		deal::{proposal, Deal, DealState, Origin, Proposal},
		sector::{SectorEvent, SectorState},
	};
	use cairn_primitives::{PieceInfo, Tier};

	const SPEC: ProofSpec = ProofSpec {
		tier: Tier::Hot,
		version: 1,
		sector_size_log2: 11,
		layers: 0,
		activation_challenges: 12,
	};

	fn published(store: &Store, hash: ProposalHash, deal_id: u64) -> SectorDeal {
		let piece = PieceInfo {
			commitment: hash,
			size_log2: 8,
			payload_size: 200,
		};
		let proposal = Proposal { piece, ..proposal(1) };
		store
			.insert_deal(
				&hash,
				&Deal::accepted(proposal, Origin::OnChain, ProofTypeId(0x11), 1),
			)
			.unwrap();
		let events = [
			(hash, DealEvent::DataVerified),
			(hash, DealEvent::PublishedOnChain { deal_id, at: 2 }),
		];
		store.apply_to_deals(&events).unwrap();
		SectorDeal {
			proposal_hash: hash,
			deal_id,
			piece,
			duration: 30,
		}
	}

	#[test]
	fn numbers_are_never_given_out_twice() {
		let (store, dir) = store();
		let first = published(&store, [1; 32], 1);
		let sector = store
			.open_sector(ProofTypeId(0x11), SPEC, vec![first.clone()], 3)
			.unwrap();
		assert_eq!(sector.number, 0);
		// The deal is in a sector: nothing is written, no number is lost.
		assert!(store
			.open_sector(ProofTypeId(0x11), SPEC, vec![first], 3)
			.is_err());
		assert_eq!(store.next_sector_number().unwrap(), 1);
		store
			.update_sector(0, |sector| {
				sector.apply(SectorEvent::GivenUp("test".into()))?;
				Ok(vec![([1; 32], DealEvent::SectorLost { at: 5 })])
			})
			.unwrap();
		assert!(store.open_sectors().unwrap().is_empty());
		assert!(matches!(
			store.sector(0).unwrap().unwrap().state,
			SectorState::Failed { .. }
		));
		assert_eq!(
			store.deal(&[1; 32]).unwrap().unwrap().state,
			DealState::Published { deal_id: 1, since: 5 }
		);
		store.skip_sector_numbers(10).unwrap();
		store.skip_sector_numbers(5).unwrap();
		drop(store);
		let store = Store::open(
			&dir.path().join("provider.redb"),
			&super::super::tests::identity(),
		)
		.unwrap();
		let second = published(&store, [2; 32], 2);
		assert_eq!(
			store
				.open_sector(ProofTypeId(0x11), SPEC, vec![second], 6)
				.unwrap()
				.number,
			10
		);
	}

	#[test]
	fn closed_sectors_cannot_change() {
		let (store, _dir) = store();
		let deal = published(&store, [1; 32], 1);
		store.open_sector(ProofTypeId(0x11), SPEC, vec![deal], 3).unwrap();
		store
			.update_sector(0, |sector| {
				sector.apply(SectorEvent::GivenUp("test".into()))?;
				Ok(vec![])
			})
			.unwrap();
		assert!(matches!(
			store.update_sector(0, |_| Ok(vec![])),
			Err(StoreError::NotFound(_))
		));
		assert_eq!(store.closed_sectors().unwrap().len(), 1);
	}
}
