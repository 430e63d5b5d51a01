//! Uploads against a server that misbehaves.

use super::{
	fake_server::{FakeServer, Faults},
	upload, ProviderError, UploadSource,
};
use cairn_dag::MemoryBlocks;
use cairn_provider_api::{ErrorKind, Hash32};
use std::{
	io::Write,
	sync::atomic::{AtomicU64, Ordering},
};

const HASH: Hash32 = Hash32([0xab; 32]);

fn file(size: usize) -> (tempfile::NamedTempFile, Vec<u8>) {
	let content: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
	let mut file = tempfile::NamedTempFile::new().unwrap();
	file.write_all(&content).unwrap();
	(file, content)
}

async fn run(faults: Faults, size: usize) -> (FakeServer, Vec<u8>, Result<(), ProviderError>, u64) {
	let (file, content) = file(size);
	let server = FakeServer::start(faults, size as u64, MemoryBlocks::new()).await;
	let furthest = AtomicU64::new(0);
	let progress = |bytes: u64| {
		furthest.fetch_max(bytes, Ordering::Relaxed);
	};
	let source = UploadSource {
		file: file.path(),
		size: size as u64,
	};
	let result = upload(&server.client(), &HASH, source, &progress).await;
	(server, content, result, furthest.into_inner())
}

#[tokio::test]
async fn one_request_when_all_goes_well() {
	let (server, content, result, furthest) = run(Faults::default(), 3_000_000).await;
	result.unwrap();
	assert_eq!(server.uploaded(&HASH), content);
	assert_eq!(server.requests(), ["PUT 0"]);
	assert_eq!(furthest, 3_000_000);
}

#[tokio::test]
async fn broken_uploads_go_on_where_they_stopped() {
	let faults = Faults {
		break_upload_after: Some(1_200_000),
		..Faults::default()
	};
	let (server, content, result, _) = run(faults, 3_000_000).await;
	result.unwrap();
	assert_eq!(server.uploaded(&HASH), content);
	assert_eq!(server.requests(), ["PUT 0", "PATCH 1200000", "PATCH 2400000"]);
}

#[tokio::test]
async fn refused_data_is_not_sent_again() {
	let faults = Faults {
		refuse_data: true,
		..Faults::default()
	};
	let (server, _, result, _) = run(faults, 100_000).await;
	match result.unwrap_err() {
		ProviderError::Refused { problem, .. } => assert_eq!(problem.kind, ErrorKind::CommitmentMismatch),
		other => panic!("{other}"),
	}
	assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_server_that_makes_no_progress_is_given_up() {
	let (file, _) = file(1000);
	let faults = Faults {
		break_upload_after: Some(0),
		..Faults::default()
	};
	let server = FakeServer::start(faults, 1000, MemoryBlocks::new()).await;
	let source = UploadSource {
		file: file.path(),
		size: 1000,
	};
	let result = upload(&server.client(), &HASH, source, &|_| ()).await;
	assert!(result.is_err());
}

#[tokio::test]
async fn nobody_listens() {
	let (file, _) = file(1000);
	let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
	let url = format!("http://{}", listener.local_addr().unwrap());
	drop(listener);
	let client = super::ProviderClient::new(super::http_client().unwrap(), url.parse().unwrap());
	let error = client.info().await.unwrap_err();
	assert!(matches!(error, ProviderError::Unreachable { .. }) && error.is_transient());
	let source = UploadSource {
		file: file.path(),
		size: 1000,
	};
	assert!(upload(&client, &HASH, source, &|_| ()).await.is_err());
}
