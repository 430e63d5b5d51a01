//! A deal's money, from escrow to the last refund.

use crate::{Account, Deal, User};
use anyhow::{ensure, Context, Result};
use xtask::network::{plancks, Provider};

/// What a client and a provider had before they made a deal.
pub struct Ledger<'a> {
	user: &'a User,
	provider: &'a Provider,
	/// Client, provider's owner.
	before: (Account, Account),
	/// First block that is looked at.
	first: u64,
}

impl<'a> Ledger<'a> {
	/// Notes what both have now.
	///
	/// # Errors
	/// When the node does not answer.
	pub fn open(user: &'a User, provider: &'a Provider) -> Result<Self> {
		let before = (user.account(&user.address)?, user.account(provider.account())?);
		Ok(Self {
			user,
			provider,
			before,
			first: user.block()? + 1,
		})
	}

	/// Settles after the first windowed proof: what is proven is paid, once.
	///
	/// # Errors
	/// When it is not, or again.
	pub fn settle_in_the_middle(&self, deal: &Deal) -> Result<()> {
		let own = ["--provider", self.provider.account()];
		self.user.wait_for("window-proof-accepted", &own, self.first)?;
		let id = deal.id.to_string();
		let settled = self.user.json(["settle", &id])?;
		let paid = plancks(&settled["paid"])?;
		ensure!(
			paid > 0 && paid < deal.price,
			"{paid} of {} paid: {settled}",
			deal.price
		);
		let again = self.user.json(["settle", &id])?;
		ensure!(
			plancks(&again["paid"])? == 0 && again["deals"][0]["skipped"].is_string(),
			"settled twice: {again}"
		);
		Ok(())
	}

	/// Waits for the deal's end, which needs nobody's help: the provider has been paid for each proven
	/// block, the client gets the rest.
	///
	/// # Errors
	/// When the sums are others, or less is paid for than was proven.
	pub fn until_the_end(&self, deal: &Deal) -> Result<()> {
		let id = deal.id.to_string();
		let ended = self.user.wait_for("deal-ended", &["--deal", &id], self.first)?;
		ensure!(ended["block"].as_u64() >= Some(deal.ends));
		let blocks = ended["fields"]["paid_blocks"]
			.as_u64()
			.context("no paid_blocks")?;
		let refund = plancks(&ended["fields"]["refund"])?;
		let paid = self.paid(deal)?;
		let duration = deal.ends - deal.since;
		ensure!(
			paid + refund == deal.price,
			"{paid} paid, {refund} returned of {}",
			deal.price
		);
		ensure!(paid == deal.price / u128::from(duration) * u128::from(blocks));
		// Without a fault everything was proven. A machine that is too busy may miss a deadline.
		let own = ["--provider", self.provider.account()];
		let faults = self.user.events("sector-faulty", self.first, &own)?;
		ensure!(
			blocks == duration || !faults.is_empty(),
			"{blocks} of {duration} blocks are paid though no proof was missed"
		);
		Ok(())
	}

	/// After the end every planck is somewhere: the client has lost the price of what was proven and its
	/// fees; the provider has earned that price. No hold of the deal is left.
	///
	/// # Errors
	/// When it is not so.
	pub fn close(&self, deal: &Deal) -> Result<()> {
		let paid = self.paid(deal)?;
		let about = ["--about", self.user.address.as_str()];
		let fees = self.user.sum("fee-paid", "fee", self.first, &about)?;
		let after = self.user.account(&self.user.address)?;
		let before = &self.before.0;
		ensure!(
			before.total() - after.total() == paid + fees,
			"the client had {before:?} and has {after:?} after {paid} for the deal and {fees} of fees"
		);
		ensure!(
			after.held_for("Market.DealPayment") == 0,
			"a payment is still held: {after:?}"
		);
		// The worker pays the provider's fees: the owner has what it had, and the earnings.
		let after = self.user.account(self.provider.account())?;
		let before = &self.before.1;
		ensure!(
			after.total() - before.total() == paid,
			"the provider had {before:?} and has {after:?} after it was paid {paid}"
		);
		ensure!(
			after.held_for("Market.DealCollateral") == 0,
			"the collateral is still held: {after:?}"
		);
		Ok(())
	}

	fn paid(&self, deal: &Deal) -> Result<u128> {
		self.user.sum(
			"payment-settled",
			"amount",
			self.first,
			&["--deal", &deal.id.to_string()],
		)
	}
}
