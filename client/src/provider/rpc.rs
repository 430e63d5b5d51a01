//! The JSON-RPC half of the interface.

use super::{one_line, ProviderClient, ProviderError, RPC_TIMEOUT};
use cairn_provider_api::{rpc, DealProgress, DealStatus, Hash32, Info, Problem, ProposeDeal, ProposedDeal};
use serde::{de::DeserializeOwned, Deserialize, Serialize};

#[derive(Serialize)]
struct Request<'a, P> {
	jsonrpc: &'static str,
	id: u32,
	method: &'a str,
	params: P,
}

#[derive(Deserialize)]
struct Response<R> {
	#[serde(default = "Option::default")]
	result: Option<R>,
	error: Option<RpcError>,
}

#[derive(Deserialize)]
struct RpcError {
	code: i64,
	message: String,
	data: Option<serde_json::Value>,
}

impl ProviderClient {
	/// Who the provider is and what it takes.
	pub async fn info(&self) -> Result<Info, ProviderError> {
		self.call(rpc::INFO, [(); 0]).await
	}

	/// Proposes a deal. Proposing it again gives its present state.
	pub async fn propose_deal(&self, proposal: &ProposeDeal) -> Result<ProposedDeal, ProviderError> {
		let mut proposed: ProposedDeal = self.call(rpc::PROPOSE_DEAL, [proposal]).await?;
		shorten(&mut proposed.progress);
		Ok(proposed)
	}

	/// Where a deal stands, as the provider sees it.
	pub async fn deal_status(&self, proposal_hash: &Hash32) -> Result<DealStatus, ProviderError> {
		let mut status: DealStatus = self.call(rpc::DEAL_STATUS, [proposal_hash]).await?;
		shorten(&mut status.progress);
		status.delayed_by = status.delayed_by.as_deref().map(one_line);
		Ok(status)
	}

	async fn call<P: Serialize, R: DeserializeOwned>(
		&self,
		method: &str,
		params: P,
	) -> Result<R, ProviderError> {
		let request = Request {
			jsonrpc: "2.0",
			id: 1,
			method,
			params,
		};
		let exchange = async {
			let sent = self
				.http
				.post(self.resource(rpc::PATH))
				.json(&request)
				.send()
				.await;
			let response = sent.map_err(|error| self.unreachable(error))?;
			let response = self.check(response).await?;
			self.bounded(response).await
		};
		let body = tokio::time::timeout(RPC_TIMEOUT, exchange)
			.await
			.map_err(|_| self.silent(RPC_TIMEOUT))??;
		let response: Response<R> =
			serde_json::from_slice(&body).map_err(|error| self.malformed(format!("{method}: {error}")))?;
		match response {
			Response {
				result: Some(result),
				error: None,
			} => Ok(result),
			Response {
				error: Some(error), ..
			} => Err(self.refusal(error)),
			Response {
				result: None,
				error: None,
			} => Err(self.malformed(format!("{method}: no result"))),
		}
	}

	fn refusal(&self, error: RpcError) -> ProviderError {
		let problem = error
			.data
			.and_then(|data| serde_json::from_value::<Problem>(data).ok());
		match problem {
			Some(problem) => self.refused(problem),
			None => self.malformed(format!(
				"JSON-RPC error {}: {}",
				error.code,
				one_line(&error.message)
			)),
		}
	}
}

fn shorten(progress: &mut DealProgress) {
	if let DealProgress::Failed { reason } = progress {
		*reason = one_line(reason);
	}
}
