//! What counts as a client's signature (scenario 33).

use super::mock::*;
use crate::{types::ClientDealProposal, Error};
use cairn_primitives::deal::wrapped_signing_bytes;
use sp_core::{ecdsa, ed25519, Pair};
use sp_keyring::Sr25519Keyring;
use sp_runtime::{traits::IdentifyAccount, MultiSignature, MultiSigner};

fn with_signature(nonce: u64, signature: impl Into<MultiSignature>) -> Signed {
	ClientDealProposal {
		proposal: proposal(nonce),
		client_signature: signature.into(),
	}
}

#[test]
fn raw_and_wrapped_signatures_are_accepted() {
	test(|| {
		let raw = signing_bytes(&proposal(1));
		ok(
			&provider(),
			publish_signed(vec![with_signature(1, Sr25519Keyring::Alice.sign(&raw))]),
		);
		let wrapped = wrapped_signing_bytes(&signing_bytes(&proposal(2)));
		ok(
			&provider(),
			publish_signed(vec![with_signature(2, Sr25519Keyring::Alice.sign(&wrapped))]),
		);
	});
}

#[test]
fn every_key_type_signs() {
	test(|| {
		let ed = ed25519::Pair::from_seed(&[7; 32]);
		let ec = ecdsa::Pair::from_seed(&[8; 32]);
		let accounts = [
			MultiSigner::from(ed.public()).into_account(),
			MultiSigner::from(ec.public()).into_account(),
		];
		for (nonce, account) in accounts.into_iter().enumerate() {
			Balances::transfer_allow_death(RuntimeOrigin::signed(stranger()), account.clone(), 2 * UNIT)
				.expect("funded");
			ok(&account, crate::Call::add_balance { amount: UNIT });
			let mut proposal = proposal(nonce as u64);
			proposal.client = account;
			let bytes = signing_bytes(&proposal);
			let client_signature = match nonce {
				0 => MultiSignature::from(ed.sign(&bytes)),
				_ => MultiSignature::from(ec.sign(&bytes)),
			};
			ok(
				&provider(),
				publish_signed(vec![ClientDealProposal {
					proposal,
					client_signature,
				}]),
			);
		}
	});
}

#[test]
fn signatures_of_others_are_refused() {
	test(|| {
		let bytes = signing_bytes(&proposal(1));
		for key in [Sr25519Keyring::Bob, Sr25519Keyring::Eve] {
			refused(
				&provider(),
				publish_signed(vec![with_signature(1, key.sign(&bytes))]),
				Error::<Test>::WrongSignature,
			);
		}
	});
}

#[test]
fn signatures_for_another_chain_are_refused() {
	test(|| {
		let bytes = proposal(1).signing_bytes(&[0xee; 32]);
		refused(
			&provider(),
			publish_signed(vec![with_signature(1, Sr25519Keyring::Alice.sign(&bytes))]),
			Error::<Test>::WrongSignature,
		);
	});
}

/// The genesis hash stays the first block's when the system forgets old hashes.
#[test]
fn signatures_hold_long_after_genesis() {
	test(|| {
		let genesis = genesis_hash();
		for _ in 0..30 {
			let parent = System::block_number();
			System::initialize(
				&(parent + 1),
				&sp_core::H256::repeat_byte(parent as u8),
				&Default::default(),
			);
			System::finalize();
		}
		assert_eq!(genesis_hash(), genesis);
		published(proposal(1));
	});
}

/// A signature covers every field.
#[test]
fn changed_terms_are_refused() {
	test(|| {
		let signature = Sr25519Keyring::Alice.sign(&signing_bytes(&proposal(1)));
		let changes: [fn(&mut cairn_primitives::deal::DealProposal<AccountId>); 10] = [
			|p| p.piece.commitment[31] ^= 1,
			|p| p.piece.payload_size -= 1,
			|p| p.payload = hot_payload(),
			|p| p.tier = cairn_primitives::Tier::Hot,
			|p| p.start_by -= 1,
			|p| p.duration -= 1,
			|p| p.price_per_block -= 1,
			|p| p.provider_collateral += 1,
			|p| p.nonce += 1,
			|p| p.label = b"x".to_vec().try_into().expect("short"),
		];
		for change in changes {
			let mut signed = with_signature(1, signature);
			change(&mut signed.proposal);
			refused(
				&provider(),
				publish_signed(vec![signed]),
				Error::<Test>::WrongSignature,
			);
		}
		let mut redirected = with_signature(1, signature);
		redirected.proposal.provider = other_provider();
		refused(
			&other_provider(),
			publish_signed(vec![redirected]),
			Error::<Test>::WrongSignature,
		);
		ok(&provider(), publish_signed(vec![with_signature(1, signature)]));
	});
}

fn hot_payload() -> cairn_primitives::deal::DealPayload {
	cairn_primitives::deal::DealPayload::V1 {
		kind: cairn_primitives::deal::PayloadKind::Protected,
		root: Default::default(),
	}
}
