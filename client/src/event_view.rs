//! Chain events as scripts and people see them: a name in kebab case, and fields.

use crate::account::display;
use cairn_chain_client::{
	AccountId, BlockRef, ChainEvent, DispatchFailure, EventRecord, FaucetEvent, MarketEvent, ProofsEvent,
	StorageProviderEvent,
};
use cairn_primitives::{BlockNumber, DealId, SectorNumber};
use cairn_units::Amount;
use serde::Serialize;
use serde_json::{json, Map, Value};

/// An event with its block.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventView {
	/// Number of the block.
	pub block: BlockNumber,
	/// Hash of the block.
	pub block_hash: String,
	/// Index of the extrinsic that caused it; none for the block's hooks.
	pub extrinsic: Option<u32>,
	/// Pallet in the runtime.
	pub pallet: String,
	/// Name in kebab case: `sector-faulty`.
	pub event: String,
	/// Its fields: accounts as addresses, amounts as decimal strings of plancks.
	pub fields: Map<String, Value>,
	#[serde(skip)]
	subjects: Subjects,
}

/// What an event is about, for filters.
#[derive(Clone, Debug, Default, PartialEq)]
struct Subjects {
	accounts: Vec<AccountId>,
	provider: Option<AccountId>,
	sector: Option<SectorNumber>,
	deals: Vec<DealId>,
}

/// Which events are wanted. Empty lists and `None` match everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventFilter {
	/// Names in kebab case.
	pub events: Vec<String>,
	/// The provider concerned.
	pub provider: Option<AccountId>,
	/// An account concerned in any role.
	pub account: Option<AccountId>,
	/// The sector concerned.
	pub sector: Option<SectorNumber>,
	/// A deal concerned.
	pub deal: Option<DealId>,
}

impl EventFilter {
	/// Whether an event is wanted.
	pub fn matches(&self, event: &EventView) -> bool {
		let subjects = &event.subjects;
		(self.events.is_empty() || self.events.contains(&event.event))
			&& self
				.provider
				.is_none_or(|provider| subjects.provider == Some(provider))
			&& self
				.account
				.is_none_or(|account| subjects.accounts.contains(&account))
			&& self.sector.is_none_or(|sector| subjects.sector == Some(sector))
			&& self.deal.is_none_or(|deal| subjects.deals.contains(&deal))
	}
}

/// Names of the events that carry fields: what `--event` takes.
pub const EVENT_NAMES: [&str; 37] = [
	"activation-part-accepted",
	"ask-set",
	"balance-added",
	"balance-withdrawn",
	"calendar-serviced",
	"deal-activated",
	"deal-ended",
	"deal-not-started",
	"deal-proposed",
	"deal-published",
	"deal-terminated",
	"dripped",
	"extrinsic-failed",
	"extrinsic-success",
	"fee-paid",
	"kept-in-escrow",
	"parameters-set",
	"payment-settled",
	"pre-commit-expired",
	"proof-type-registered",
	"proof-type-retired",
	"proposal-cancelled",
	"proposal-expired",
	"provider-deregistered",
	"provider-registered",
	"provider-updated",
	"sector-activated",
	"sector-expired",
	"sector-faulty",
	"sector-pre-committed",
	"sector-recovered",
	"sector-recovering",
	"settlement-skipped",
	"sudo",
	"transfer",
	"window-proof-accepted",
	"worker-set",
];

/// Collects an event's fields.
struct Builder {
	pallet: String,
	event: String,
	fields: Map<String, Value>,
	subjects: Subjects,
}

impl Builder {
	fn new(pallet: &str, event: &str) -> Self {
		Builder {
			pallet: pallet.to_owned(),
			event: event.to_owned(),
			fields: Map::new(),
			subjects: Subjects::default(),
		}
	}

	fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
		self.fields.insert(name.to_owned(), value.into());
		self
	}

	fn account(mut self, name: &str, account: &AccountId) -> Self {
		self.subjects.accounts.push(*account);
		self.field(name, display(account))
	}

	fn provider(mut self, account: &AccountId) -> Self {
		self.subjects.provider = Some(*account);
		self.account("provider", account)
	}

	fn sector(mut self, sector: SectorNumber) -> Self {
		self.subjects.sector = Some(sector);
		self.field("sector", sector)
	}

	fn deal(mut self, deal: DealId) -> Self {
		self.subjects.deals.push(deal);
		self.field("deal", deal)
	}

	fn amount(self, name: &str, amount: u128) -> Self {
		self.field(name, amount.to_string())
	}

	fn hash(self, name: &str, hash: &[u8; 32]) -> Self {
		self.field(name, format!("0x{}", hex::encode(hash)))
	}
}

/// An event as scripts see it.
pub fn view(block: BlockRef, record: &EventRecord) -> EventView {
	let Builder {
		pallet,
		event,
		fields,
		subjects,
	} = build(&record.event);
	EventView {
		block: block.number,
		block_hash: format!("0x{}", hex::encode(block.hash)),
		extrinsic: record.extrinsic,
		pallet,
		event,
		fields,
		subjects,
	}
}

fn build(event: &ChainEvent) -> Builder {
	match event {
		ChainEvent::StorageProvider(event) => storage_provider(event),
		ChainEvent::Market(event) => market(event),
		ChainEvent::Proofs(ProofsEvent::ProofTypeRegistered { id, .. }) => {
			Builder::new("Proofs", "proof-type-registered").field("proof_type", id.0)
		}
		ChainEvent::Proofs(ProofsEvent::ProofTypeRetired { id }) => {
			Builder::new("Proofs", "proof-type-retired").field("proof_type", id.0)
		}
		ChainEvent::Faucet(FaucetEvent::Dripped { who, amount }) => Builder::new("Faucet", "dripped")
			.account("who", who)
			.amount("amount", *amount),
		ChainEvent::Transfer { from, to, amount } => Builder::new("Balances", "transfer")
			.account("from", from)
			.account("to", to)
			.amount("amount", *amount),
		ChainEvent::FeePaid { who, fee, tip } => Builder::new("TransactionPayment", "fee-paid")
			.account("who", who)
			.amount("fee", *fee)
			.amount("tip", *tip),
		ChainEvent::ExtrinsicSuccess => Builder::new("System", "extrinsic-success"),
		ChainEvent::ExtrinsicFailed(failure) => failed(failure),
		ChainEvent::Sudo(Ok(())) => Builder::new("Sudo", "sudo").field("failed", false),
		ChainEvent::Sudo(Err(failure)) => Builder::new("Sudo", "sudo")
			.field("failed", true)
			.field("reason", failure.to_string()),
		ChainEvent::Other { pallet, name } => Builder::new(pallet, &kebab(name)),
		// Variants of a newer chain client.
		_ => Builder::new("Unknown", "unknown"),
	}
}

fn failed(failure: &DispatchFailure) -> Builder {
	let event = Builder::new("System", "extrinsic-failed").field("reason", failure.to_string());
	match failure {
		DispatchFailure::Module { pallet, error, .. } => {
			event.field("error", json!({ "pallet": pallet, "error": error }))
		}
		_ => event,
	}
}

fn storage_provider(event: &StorageProviderEvent) -> Builder {
	use StorageProviderEvent::*;
	let named = |name: &str| Builder::new("StorageProvider", name);
	match event {
		ProviderRegistered { provider } => named("provider-registered").provider(provider),
		ProviderUpdated { provider } => named("provider-updated").provider(provider),
		WorkerSet { provider, worker } => named("worker-set").provider(provider).account("worker", worker),
		ProviderDeregistered { provider } => named("provider-deregistered").provider(provider),
		AskSet {
			provider,
			proof_type,
			ask,
		} => named("ask-set")
			.provider(provider)
			.field("proof_type", proof_type.0)
			.field("withdrawn", ask.is_none()),
		SectorPreCommitted {
			provider,
			sector,
			prove_from,
			prove_by,
		} => named("sector-pre-committed")
			.provider(provider)
			.sector(*sector)
			.field("prove_from", *prove_from)
			.field("prove_by", *prove_by),
		ActivationPartAccepted {
			provider,
			sector,
			answered,
			of,
		} => named("activation-part-accepted")
			.provider(provider)
			.sector(*sector)
			.field("answered", *answered)
			.field("of", *of),
		SectorActivated {
			provider,
			sector,
			deadline,
			partition,
			deals,
		} => {
			let mut event = named("sector-activated")
				.provider(provider)
				.sector(*sector)
				.field("deadline", *deadline)
				.field("partition", *partition)
				.field("deals", deals.clone());
			event.subjects.deals.clone_from(deals);
			event
		}
		PreCommitExpired {
			provider,
			sector,
			forfeited,
		} => named("pre-commit-expired")
			.provider(provider)
			.sector(*sector)
			.amount("forfeited", *forfeited),
		WindowProofAccepted {
			provider,
			deadline,
			period,
			partitions,
			sectors,
		} => named("window-proof-accepted")
			.provider(provider)
			.field("deadline", *deadline)
			.field("period", *period)
			.field("partitions", partitions.clone())
			.field("sectors", *sectors),
		SectorFaulty {
			provider,
			sector,
			reason,
		} => named("sector-faulty")
			.provider(provider)
			.sector(*sector)
			.field("reason", format!("{reason:?}").to_lowercase()),
		SectorRecovering { provider, sector } => {
			named("sector-recovering").provider(provider).sector(*sector)
		}
		SectorRecovered { provider, sector } => named("sector-recovered").provider(provider).sector(*sector),
		SectorExpired { provider, sector } => named("sector-expired").provider(provider).sector(*sector),
		ParametersSet { .. } => named("parameters-set"),
		_ => named("unknown"),
	}
}

fn market(event: &MarketEvent) -> Builder {
	use MarketEvent::*;
	let named = |name: &str| Builder::new("Market", name);
	match event {
		BalanceAdded { who, amount } => named("balance-added")
			.account("who", who)
			.amount("amount", *amount),
		BalanceWithdrawn { who, amount } => named("balance-withdrawn")
			.account("who", who)
			.amount("amount", *amount),
		DealProposed {
			proposal_hash,
			proposal,
		} => named("deal-proposed")
			.hash("proposal_hash", proposal_hash)
			.account("client", &proposal.client)
			.provider(&proposal.provider),
		ProposalCancelled {
			proposal_hash,
			client,
			refund,
		} => named("proposal-cancelled")
			.hash("proposal_hash", proposal_hash)
			.account("client", client)
			.amount("refund", *refund),
		ProposalExpired {
			proposal_hash,
			client,
			refund,
		} => named("proposal-expired")
			.hash("proposal_hash", proposal_hash)
			.account("client", client)
			.amount("refund", *refund),
		DealPublished {
			deal,
			proposal_hash,
			client,
			provider,
		} => named("deal-published")
			.deal(*deal)
			.hash("proposal_hash", proposal_hash)
			.account("client", client)
			.provider(provider),
		DealActivated {
			deal,
			provider,
			sector,
			activated_at,
			end,
		} => named("deal-activated")
			.deal(*deal)
			.provider(provider)
			.sector(*sector)
			.field("activated_at", *activated_at)
			.field("end", *end),
		PaymentSettled {
			deal,
			to,
			amount,
			paid_blocks,
		} => named("payment-settled")
			.deal(*deal)
			.account("to", to)
			.amount("amount", *amount)
			.field("paid_blocks", *paid_blocks),
		SettlementSkipped { deal, reason } => named("settlement-skipped")
			.deal(*deal)
			.field("reason", kebab(&format!("{reason:?}"))),
		DealEnded {
			deal,
			paid_blocks,
			refund,
		} => named("deal-ended")
			.deal(*deal)
			.field("paid_blocks", *paid_blocks)
			.amount("refund", *refund),
		DealNotStarted {
			deal,
			refund,
			compensation,
			burnt,
		} => named("deal-not-started")
			.deal(*deal)
			.amount("refund", *refund)
			.amount("compensation", *compensation)
			.amount("burnt", *burnt),
		DealTerminated {
			deal,
			paid_blocks,
			refund,
			compensation,
			burnt,
		} => named("deal-terminated")
			.deal(*deal)
			.field("paid_blocks", *paid_blocks)
			.amount("refund", *refund)
			.amount("compensation", *compensation)
			.amount("burnt", *burnt),
		KeptInEscrow { who, amount } => named("kept-in-escrow")
			.account("who", who)
			.amount("amount", *amount),
		CalendarServiced { items, next_block } => named("calendar-serviced")
			.field("items", *items)
			.field("next_block", *next_block),
		_ => named("unknown"),
	}
}

/// `SectorFaulty` to `sector-faulty`.
fn kebab(name: &str) -> String {
	let mut text = String::with_capacity(name.len() + 4);
	for (index, c) in name.chars().enumerate() {
		if c.is_uppercase() && index > 0 {
			text.push('-');
		}
		text.extend(c.to_lowercase());
	}
	text
}

/// An event on one line, for people. Amounts are shown in CAIRN.
pub fn describe(event: &EventView) -> String {
	const AMOUNTS: [&str; 7] = [
		"amount",
		"refund",
		"compensation",
		"burnt",
		"fee",
		"tip",
		"forfeited",
	];
	let mut line = format!("#{} {}", event.block, event.event);
	for (name, value) in &event.fields {
		let text = match value {
			Value::String(text) if AMOUNTS.contains(&name.as_str()) => text
				.parse()
				.map_or_else(|_| text.clone(), |plancks| Amount(plancks).to_string()),
			Value::String(text) => text.clone(),
			other => other.to_string(),
		};
		line.push_str(&format!(" {name}={text}"));
	}
	line
}

#[cfg(test)]
mod tests {
	use super::*;
	use cairn_chain_client::FaultReason;

	fn faulty() -> EventView {
		let event = StorageProviderEvent::SectorFaulty {
			provider: [7; 32],
			sector: 3,
			reason: FaultReason::Missed,
		};
		let record = EventRecord {
			extrinsic: None,
			event: ChainEvent::StorageProvider(event),
		};
		view(
			BlockRef {
				number: 12,
				hash: [1; 32],
			},
			&record,
		)
	}

	#[test]
	fn events_have_names_and_fields() {
		let view = faulty();
		assert_eq!((view.event.as_str(), view.block), ("sector-faulty", 12));
		let value = serde_json::to_value(&view).unwrap();
		assert_eq!(value["fields"]["sector"], 3);
		assert_eq!(value["fields"]["reason"], "missed");
		assert!(value.get("subjects").is_none());
		let line = describe(&view);
		assert!(
			line.starts_with("#12 sector-faulty ") && line.contains("reason=missed"),
			"{line}"
		);
	}

	#[test]
	fn amounts_are_decimal_strings_in_json_and_cairn_for_people() {
		let event = ChainEvent::Transfer {
			from: [1; 32],
			to: [2; 32],
			amount: 1_500_000_000_000,
		};
		let view = view(
			BlockRef {
				number: 1,
				hash: [0; 32],
			},
			&EventRecord {
				extrinsic: Some(0),
				event,
			},
		);
		assert_eq!(view.fields["amount"], "1500000000000");
		assert!(describe(&view).contains("amount=1.5 CAIRN"));
	}

	#[test]
	fn filters() {
		let event = faulty();
		let all = EventFilter::default();
		assert!(all.matches(&event));
		let named = EventFilter {
			events: vec!["sector-faulty".to_owned()],
			provider: Some([7; 32]),
			..all.clone()
		};
		assert!(named.matches(&event));
		assert!(!EventFilter {
			provider: Some([8; 32]),
			..named.clone()
		}
		.matches(&event));
		assert!(!EventFilter {
			sector: Some(4),
			..named.clone()
		}
		.matches(&event));
		assert!(!EventFilter {
			deal: Some(1),
			..named
		}
		.matches(&event));
		assert!(EventFilter {
			account: Some([7; 32]),
			sector: Some(3),
			..all
		}
		.matches(&event));
	}

	#[test]
	fn names_are_sorted_and_in_kebab_case() {
		assert!(EVENT_NAMES.is_sorted());
		assert_eq!(kebab("WindowProofAccepted"), "window-proof-accepted");
	}
}
