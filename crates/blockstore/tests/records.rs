//! Records: read, change and write as one step.

mod fixture;

use cairn_blockstore::{repo::ModifyError, Repo};
use fixture::repo;
use std::convert::Infallible;

fn increment(repo: &Repo, key: &[u8]) -> u64 {
	repo.modify_get(key, |old| {
		let old = old.map_or(0, |old| u64::from_le_bytes(old.try_into().unwrap()));
		Ok::<_, Infallible>((Some((old + 1).to_le_bytes().to_vec()), old + 1))
	})
	.unwrap()
}

#[test]
fn a_thousand_concurrent_increments_are_a_thousand() {
	let (repo, _) = repo(0);
	std::thread::scope(|scope| {
		for _ in 0..10 {
			scope.spawn(|| {
				for _ in 0..100 {
					increment(&repo, b"counter");
				}
			});
		}
	});
	assert_eq!(
		repo.record(b"counter").unwrap(),
		Some(1000_u64.to_le_bytes().to_vec())
	);
	assert_eq!(increment(&repo, b"other"), 1);
}

#[test]
fn a_closure_that_fails_changes_nothing() {
	let (repo, _) = repo(0);
	increment(&repo, b"counter");
	let failed = repo.modify_get(b"counter", |old| -> Result<(Option<Vec<u8>>, ()), String> {
		Err(format!("no, {} bytes are enough", old.unwrap().len()))
	});
	assert!(matches!(&failed, Err(ModifyError::Closure(error)) if error == "no, 8 bytes are enough"));
	assert_eq!(increment(&repo, b"counter"), 2);
}

#[test]
fn a_closure_that_panics_changes_nothing_and_blocks_nobody() {
	let (repo, _) = repo(0);
	increment(&repo, b"counter");
	let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
		let _ = repo.modify_get(b"counter", |_| -> Result<(Option<Vec<u8>>, ()), Infallible> {
			panic!("in the middle of a transaction")
		});
	}));
	assert!(panicked.is_err());
	assert_eq!(increment(&repo, b"counter"), 2);
}

#[test]
fn nothing_removes_a_record() {
	let (repo, _) = repo(0);
	let remove = |key: &[u8]| {
		repo.modify_get(key, |old| Ok::<_, Infallible>((None, old.map(<[u8]>::to_vec))))
			.unwrap()
	};
	assert_eq!(remove(b"a"), None);
	increment(&repo, b"a");
	increment(&repo, b"ab");
	assert_eq!(remove(b"a"), Some(1_u64.to_le_bytes().to_vec()));
	assert_eq!(repo.record(b"a").unwrap(), None);
	assert!(repo.record(b"ab").unwrap().is_some());
}

#[test]
fn records_are_on_disk_when_the_call_returns() {
	let folder = fixture::folder();
	let (_, config) = fixture::config(0);
	let (repo, _) = Repo::open(folder.path(), &config).unwrap();
	increment(&repo, b"counter");
	drop(repo);
	let (repo, _) = Repo::open(folder.path(), &config).unwrap();
	assert_eq!(increment(&repo, b"counter"), 2);
}
