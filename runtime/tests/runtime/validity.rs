//! Which transactions may enter a block.

use crate::{chain::*, deals::*, sectors, transactions::*};
use cairn_primitives::{
	params::ProtocolParameters, proof_type::BUILTIN, sector::SectorPreCommit, PieceInfo, ProofTypeId, Tier,
};
use cairn_runtime::{Hash, Runtime, RuntimeCall, System, UncheckedExtrinsic};
use codec::{DecodeAll, Encode};
use frame_support::assert_ok;
use pallet_market::Call as Deals;
use pallet_storage_provider::Call as Providers;
use rand_chacha::{
	rand_core::{RngCore, SeedableRng},
	ChaCha8Rng,
};
use sp_keyring::Sr25519Keyring::{self, Bob, Charlie, Dave, Eve};
use sp_runtime::{
	generic::Era,
	transaction_validity::{InvalidTransaction, TransactionValidityError, UnknownTransaction},
	DispatchError, MultiAddress,
};

fn call() -> Deals<Runtime> {
	Deals::add_balance { amount: UNIT }
}

/// A transaction that must not get into a block, and is refused by the pool too.
#[track_caller]
fn refused(transaction: UncheckedExtrinsic, error: impl Into<TransactionValidityError>) {
	let error = error.into();
	assert_eq!(validate(transaction.clone()).map(|_| ()), Err(error));
	assert_eq!(submit(transaction), Err(error));
}

#[test]
fn the_signer_must_be_able_to_pay() {
	test(|| {
		// No account, and one whose funds above the existential deposit do not cover the fee.
		let pauper = Sr25519Keyring::One;
		let who = account(pauper);
		assert_eq!(free(&who), 0);
		refused(sign(pauper, call()), InvalidTransaction::Payment);
		ok(
			&account(Eve),
			pallet_balances::Call::transfer_keep_alive {
				dest: MultiAddress::Id(who.clone()),
				value: cairn_runtime::MILLIUNIT,
			},
		);
		refused(sign(pauper, call()), InvalidTransaction::Payment);
		// What is in escrow pays no fees.
		let amount = free(&account(Dave)) - cairn_runtime::MILLIUNIT;
		ok(&account(Dave), Deals::add_balance { amount });
		refused(
			sign(Dave, Deals::withdraw_balance { amount }),
			InvalidTransaction::Payment,
		);
		assert_eq!(System::account_nonce(&who), 0);
	});
}

#[test]
fn nonces_count_up() {
	test(|| {
		let at = |nonce| sign_with(Eve, call(), |terms| terms.nonce = nonce);
		send(Eve, call());
		refused(at(0), InvalidTransaction::Stale);
		// The pool keeps a later one until those before it are there.
		assert_ok!(validate(at(2)));
		assert_eq!(submit(at(2)), Err(InvalidTransaction::Future.into()));
		assert_eq!(submit(at(1)), Ok(Ok(())));
		assert_eq!(submit(at(2)), Ok(Ok(())));
		refused(at(2), InvalidTransaction::Stale);
	});
}

#[test]
fn a_mortal_transaction_dies() {
	test(|| {
		run_to(10);
		let era = Era::mortal(8, u64::from(now() - 1));
		let mortal = sign_with(Eve, call(), |terms| terms.era = era);
		let death = era.death(now().into()) as u32;
		assert_eq!(death, 17);
		let validity = validate(mortal.clone()).expect("alive");
		assert!(validity.longevity <= 8);
		run_to(death - 1);
		// The pool judges for the next block.
		let dead = TransactionValidityError::from(InvalidTransaction::AncientBirthBlock);
		assert_eq!(validate(mortal.clone()), Err(dead));
		next_block();
		assert_eq!(submit(mortal.clone()), Err(dead));
		// From now on its era names another block, which its signature does not bind.
		next_block();
		refused(mortal, InvalidTransaction::BadProof);
		// In time it is accepted.
		let era = Era::mortal(8, u64::from(now() - 1));
		let mortal = sign_with(Eve, call(), |terms| terms.era = era);
		run_to(era.death(now().into()) as u32 - 1);
		assert_eq!(submit(mortal), Ok(Ok(())));
	});
}

#[test]
fn a_signature_binds_chain_versions_and_call() {
	test(|| {
		let wrong: [fn(&mut Terms); 3] = [
			|terms| terms.genesis = Hash::repeat_byte(1),
			|terms| terms.spec_version += 1,
			|terms| terms.transaction_version += 1,
		];
		for change in wrong {
			refused(sign_with(Eve, call(), change), InvalidTransaction::BadProof);
		}
		let mut other_call = sign(Eve, call());
		other_call.function = Deals::add_balance { amount: 2 * UNIT }.into();
		refused(other_call, InvalidTransaction::BadProof);
		assert_eq!(submit(sign(Eve, call())), Ok(Ok(())));
	});
}

/// One call of each kind that Cairn's pallets have, but for the faucet's.
fn calls() -> Vec<RuntimeCall> {
	let piece = PieceInfo {
		commitment: [1; 32],
		size_log2: 11,
		payload_size: 2_000,
	};
	let proposal = proposal(Eve, Bob, Tier::Hot, piece, 100, 0);
	let sector = SectorPreCommit {
		sector: 1,
		proof_type: sectors::HOT_2_KIB,
		comm_r: [1; 32],
		comm_d: [1; 32],
		ticket_at: 0,
		expiration: 0,
		deals: vec![0].try_into().expect("one"),
	};
	let numbers = || vec![0].try_into().expect("one");
	vec![
		register(Charlie, Dave).into(),
		Providers::update_provider {
			contact: None,
			beneficiary: Some(account(Eve)),
		}
		.into(),
		Providers::set_worker { worker: account(Eve) }.into(),
		Providers::deregister {}.into(),
		Providers::set_ask {
			proof_type: sectors::HOT_2_KIB,
			ask: None,
		}
		.into(),
		sectors::pre_commit(vec![sector]).into(),
		sectors::prove(vec![]).into(),
		sectors::window(0, vec![(0, 0)], vec![0; 100]).into(),
		Providers::declare_faults { sectors: numbers() }.into(),
		Providers::declare_faults_recovered { sectors: numbers() }.into(),
		Providers::service { limit: 1 }.into(),
		Providers::set_parameters {
			parameters: ProtocolParameters::development(),
		}
		.into(),
		call().into(),
		Deals::withdraw_balance { amount: UNIT }.into(),
		publish([proposal.clone()]).into(),
		Deals::propose_deal {
			proposal: proposal.clone(),
		}
		.into(),
		accept(&[&proposal]).into(),
		Deals::cancel_proposal {
			proposal_hash: hash_of(&proposal),
		}
		.into(),
		settle(&[0]).into(),
		Deals::service { limit: 1 }.into(),
		pallet_proofs::Call::register_proof_type {
			id: ProofTypeId(9),
			spec: BUILTIN[0].1,
		}
		.into(),
		pallet_proofs::Call::retire_proof_type { id: BUILTIN[0].0 }.into(),
	]
}

#[test]
fn only_the_faucet_serves_whoever_does_not_sign() {
	test(|| {
		for call in calls() {
			refused(general(call.clone()), InvalidTransaction::UnknownOrigin);
			// The pool refuses it. An author may put it into a block, where it comes from nobody.
			let bare = UncheckedExtrinsic::new_bare(call);
			assert_eq!(
				validate(bare.clone()),
				Err(UnknownTransaction::NoUnsignedValidator.into())
			);
			assert_eq!(submit(bare), Ok(Err(DispatchError::BadOrigin)));
		}
		// Nor in a wrapper.
		let drip = RuntimeCall::from(pallet_faucet::Call::drip { who: account(Eve) });
		for wrapped in [
			RuntimeCall::from(pallet_utility::Call::batch {
				calls: vec![drip.clone()],
			}),
			pallet_sudo::Call::sudo {
				call: Box::new(drip.clone()),
			}
			.into(),
		] {
			refused(general(wrapped), InvalidTransaction::UnknownOrigin);
		}
		assert_eq!(submit(general(drip)), Ok(Ok(())));
	});
}

#[test]
fn governance_is_roots() {
	test(|| {
		let roots: Vec<RuntimeCall> = vec![
			Providers::set_parameters {
				parameters: ProtocolParameters::development(),
			}
			.into(),
			pallet_proofs::Call::register_proof_type {
				id: ProofTypeId(9),
				spec: BUILTIN[0].1,
			}
			.into(),
			pallet_proofs::Call::retire_proof_type { id: BUILTIN[0].0 }.into(),
		];
		for call in roots {
			send_failing(Eve, call.clone(), DispatchError::BadOrigin);
			let call = Box::new(call);
			send_failing(
				Eve,
				pallet_sudo::Call::sudo { call: call.clone() },
				pallet_sudo::Error::<Runtime>::RequireSudo,
			);
			send(Sr25519Keyring::Alice, pallet_sudo::Call::sudo { call });
			assert!(events().iter().any(|event| matches!(
				event,
				cairn_runtime::RuntimeEvent::Sudo(pallet_sudo::Event::Sudid { sudo_result: Ok(()) })
			)));
		}
	});
}

/// Damaged transactions: whatever still decodes is judged, and neither panics nor gets through.
#[test]
fn damaged_transactions_are_refused() {
	let seed = 0xca13_2000;
	println!("seed {seed:#x}");
	let mut rng = ChaCha8Rng::seed_from_u64(seed);
	test(|| {
		let mut decoded = 0;
		for call in calls() {
			let good = sign(Eve, call).encode();
			for _ in 0..40 {
				let mut bytes = good.clone();
				match rng.next_u32() % 4 {
					0 => bytes.truncate(rng.next_u32() as usize % good.len()),
					1 => bytes.push(rng.next_u32() as u8),
					_ => {
						let at = rng.next_u32() as usize % good.len();
						bytes[at] ^= 1 << (rng.next_u32() % 8);
					}
				}
				let Ok(transaction) = UncheckedExtrinsic::decode_all(&mut &bytes[..]) else {
					continue;
				};
				decoded += 1;
				assert!(validate(transaction.clone()).is_err(), "{transaction:?}");
				assert!(submit(transaction).is_err());
			}
		}
		assert!(decoded > 100, "{decoded}");
		// And noise in the place of a call.
		for _ in 0..2_000 {
			let mut bytes = [50 + (rng.next_u32() % 5) as u8, (rng.next_u32() % 15) as u8].to_vec();
			bytes.extend((0..rng.next_u32() % 400).map(|_| rng.next_u32() as u8));
			if let Ok(call) = RuntimeCall::decode_all(&mut &bytes[..]) {
				let _ = dispatch(&account(Eve), call);
			}
		}
	});
}
