use super::*;
use crate::simulation::{offer, test_config, Offer, World};
use cairn_dag::{Block, Codec};
use cairn_network::{
	discovery::RecordDatabase,
	host::{HostConfig, HostParts},
	identity::Identity,
};
use cairn_primitives::Tier;

/// A host whose records are in `world`'s folder; nobody else is there.
async fn host(world: &World, identity: &Identity) -> Host {
	let records = RecordDatabase::open(&world.dir.path().join("records.redb")).unwrap();
	let identity = Identity::from_protobuf(&identity.to_protobuf()).unwrap();
	Host::start(HostConfig::default(), HostParts::new(identity, records))
		.await
		.unwrap()
}

async fn provided(host: &Host) -> BTreeSet<Vec<u8>> {
	host.provided().await.unwrap().into_iter().collect()
}

fn hash(cid: &Cid) -> Vec<u8> {
	cid.hash().to_bytes()
}

async fn put(world: &World, text: &'static str) -> Cid {
	let data = world.provider().data.clone().unwrap();
	let block = Block::encode(Codec::Raw, text.as_bytes());
	let cid = *block.cid();
	tokio::task::spawn_blocking(move || data.put_block(block, None))
		.await
		.unwrap()
		.unwrap();
	cid
}

const NOTHING: Read = Read {
	deals: false,
	datasets: false,
};
const DEALS: Read = Read {
	deals: true,
	..NOTHING
};
const DATASETS: Read = Read {
	datasets: true,
	..NOTHING
};
const BOTH: Read = Read {
	deals: true,
	datasets: true,
};

async fn world() -> (World, Offer) {
	let mut config = test_config();
	config.repo.enabled = true;
	(World::with(config).await, offer(1, Tier::Hot))
}

#[tokio::test]
async fn nothing_is_read_while_nothing_changes() {
	let (mut world, offer) = world().await;
	let host = host(&world, &Identity::generate()).await;
	let mut announcements = Announcements::new(world.provider().clone(), host.clone());
	assert_eq!(announcements.update().await.unwrap(), BOTH);
	assert_eq!(announcements.update().await.unwrap(), NOTHING);

	world.propose(&offer).await.unwrap();
	assert_eq!(
		announcements.update().await.unwrap(),
		NOTHING,
		"there is no data yet"
	);
	world.upload(&offer).await.unwrap();
	assert_eq!(announcements.update().await.unwrap(), DEALS);
	assert_eq!(provided(&host).await, [hash(&offer.root)].into());

	let dataset = put(&world, "a dataset").await;
	assert_eq!(announcements.update().await.unwrap(), DATASETS);
	let both = BTreeSet::from([hash(&offer.root), hash(&dataset)]);
	assert_eq!(provided(&host).await, both);

	// The way from data to an active sector is no change.
	world
		.blocks_until(40, "the deal is active", |world| world.is_active(&offer))
		.await;
	assert_eq!(announcements.update().await.unwrap(), NOTHING);
	world
		.blocks_until(200, "the deal is over", |world| world.is_over(&offer))
		.await;
	assert_eq!(announcements.update().await.unwrap(), DEALS);
	assert_eq!(provided(&host).await, [hash(&dataset)].into());
	world
		.provider()
		.data
		.as_ref()
		.unwrap()
		.repo
		.delete(&dataset)
		.unwrap();
	assert_eq!(announcements.update().await.unwrap(), DATASETS);
	assert!(provided(&host).await.is_empty());
	assert_eq!(announcements.update().await.unwrap(), NOTHING);
}

/// What the host's disk and the provider's say may differ after a kill, or after one of them was restored.
#[tokio::test]
async fn everything_is_compared_once_after_a_start() {
	let (mut world, offer) = world().await;
	let identity = Identity::generate();
	world.store(&offer).await;
	let [kept, deleted] = [put(&world, "kept").await, put(&world, "deleted").await];
	{
		let host = host(&world, &identity).await;
		let mut announcements = Announcements::new(world.provider().clone(), host.clone());
		announcements.update().await.unwrap();
		assert_eq!(provided(&host).await.len(), 3);
		host.unprovide(vec![hash(&kept)]).await.unwrap();
		host.shutdown().await;
	}
	world
		.provider()
		.data
		.as_ref()
		.unwrap()
		.repo
		.delete(&deleted)
		.unwrap();
	world.restart().await;
	let host = host(&world, &identity).await;
	let mut announcements = Announcements::new(world.provider().clone(), host.clone());
	assert_eq!(announcements.update().await.unwrap(), BOTH);
	assert_eq!(provided(&host).await, [hash(&offer.root), hash(&kept)].into());
	assert_eq!(announcements.update().await.unwrap(), NOTHING);
}

/// A comparison that failed is made up for, although nothing changes any more.
#[tokio::test]
async fn a_comparison_that_failed_is_done_again() {
	let (world, offer) = world().await;
	world.store(&offer).await;
	let identity = Identity::generate();
	let first = host(&world, &identity).await;
	let mut announcements = Announcements::new(world.provider().clone(), first.clone());
	first.shutdown().await;
	assert!(matches!(
		announcements.update().await,
		Err(UpdateError::Stopped(_))
	));
	drop(first);
	announcements.host = {
		let config = HostConfig::default();
		let parts = HostParts::new(Identity::generate(), RecordDatabase::in_memory().unwrap());
		Host::start(config, parts).await.unwrap()
	};
	assert_eq!(announcements.update().await.unwrap(), NOTHING);
	assert_eq!(provided(&announcements.host).await, [hash(&offer.root)].into());
}

/// A root that is both a deal's and a dataset's stays announced until both are gone.
#[tokio::test]
async fn one_of_two_reasons_is_enough() {
	let (mut world, offer) = world().await;
	let host = host(&world, &Identity::generate()).await;
	let mut announcements = Announcements::new(world.provider().clone(), host.clone());
	world.store(&offer).await;
	let repo = world.provider().data.as_ref().unwrap().repo.clone();
	let mut upload = repo.upload(0).unwrap();
	upload
		.put(crate::simulation::car(1, 3, 200).1[0].clone())
		.unwrap();
	upload.commit(&offer.root, &Default::default()).unwrap();
	announcements.update().await.unwrap();
	let announced = BTreeSet::from([hash(&offer.root)]);
	assert_eq!(provided(&host).await, announced);
	repo.delete(&offer.root).unwrap();
	announcements.update().await.unwrap();
	assert_eq!(provided(&host).await, announced);
	world
		.blocks_until(300, "the deal is over", |world| world.is_over(&offer))
		.await;
	announcements.update().await.unwrap();
	assert!(provided(&host).await.is_empty());
}

/// Nobody but its owner has a use for a protected object, and nobody else is to learn who has it.
#[tokio::test]
async fn protected_objects_are_not_announced() {
	let (world, offer) = world().await;
	world.store(&offer).await;
	let (_, mut deal) = world.provider().store.open_deals().unwrap().remove(0);
	assert_eq!(stored_root(&deal), Some(hash(&offer.root)));
	let DealPayload::V1 { kind, .. } = &mut deal.proposal.payload;
	*kind = PayloadKind::Protected;
	assert_eq!(stored_root(&deal), None);
}
