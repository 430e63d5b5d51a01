//! The routes under `/api/cairn/v1`, and their description in OpenAPI 3.1. Both come from the annotation of each
//! handler, so that no route is without a description, and none is described that is not there. The book's
//! reference of the routes is written from it (`tests/data_reference.rs`), and from that of [`codex`](super::codex).

use super::{blocks, datasets, download, fetches, network, shapes::Problem, uploads, DataApi};
use crate::http::{banned_peers, Api};
use axum::{http::header, routing::get, Router};
use bytes::Bytes;
use utoipa::{
	openapi::{
		security::{Http, HttpAuthScheme, SecurityScheme},
		ContentBuilder, Header, Object, Ref, RefOr, ResponseBuilder, Type,
	},
	OpenApi, ToSchema,
};
use utoipa_axum::{router::OpenApiRouter, routes};

#[derive(OpenApi)]
#[openapi(
	info(
		title = "Cairn data API",
		version = "1",
		description = "Uploads, datasets and blocks of a Cairn node's own block store, and bans of the network's peers. \
			Requests that change the store or list what is in it, and those about bans, are for programs on the node's own \
			machine, or need the operator's token if one is set. Where \
			there is GET there is HEAD, whose answer has no body. Besides what is named with it, every route answers 429 \
			to a client that sends too many requests, and 500 if something fails in the node, whose log then has the \
			cause. Refusals are a `Problem`. Times are seconds since the Unix epoch, sizes are bytes.",
		license(name = "Apache-2.0", identifier = "Apache-2.0"),
	),
	servers((url = "/api/cairn/v1")),
	components(schemas(Problem)),
	tags(
		(name = "data", description = "Datasets"),
		(name = "uploads", description = "Uploads in several requests"),
		(name = "blocks", description = "Single blocks"),
		(name = "network", description = "Datasets that other nodes may have"),
		(name = "node", description = "The block store"),
		(name = "peers", description = "Peers of the network"),
	),
)]
struct Description;

/// The routes, with the description among them; those of the block store if there is one.
pub(super) fn routes(api: Api, data: Option<DataApi>) -> Router {
	let peers = OpenApiRouter::new()
		.routes(routes!(banned_peers::list))
		.routes(routes!(banned_peers::ban, banned_peers::pardon))
		.with_state(api);
	let mut described = OpenApiRouter::with_openapi(Description::openapi());
	if let Some(data) = data {
		described = described.merge(data_routes().with_state(data));
	}
	serve(described.merge(peers))
}

fn data_routes() -> OpenApiRouter<DataApi> {
	OpenApiRouter::new()
		.routes(routes!(datasets::upload, datasets::list))
		.routes(routes!(download::download, datasets::change, datasets::delete))
		.routes(routes!(datasets::exists))
		.routes(routes!(network::store))
		.routes(routes!(network::stream))
		.routes(routes!(network::manifest))
		.routes(routes!(fetches::list))
		.routes(routes!(fetches::show, fetches::give_up))
		.routes(routes!(uploads::begin, uploads::list))
		.routes(routes!(uploads::show, uploads::go_on, uploads::discard))
		.routes(routes!(blocks::get, blocks::put))
		.routes(routes!(blocks::stat))
		.routes(routes!(datasets::space))
}

/// Describes what any request can get, whatever it asks for.
fn describe_common_answers(description: &mut utoipa::openapi::OpenApi) {
	for item in description.paths.paths.values_mut() {
		let operations = [
			&mut item.get,
			&mut item.put,
			&mut item.post,
			&mut item.patch,
			&mut item.delete,
		];
		for operation in operations.into_iter().flatten() {
			let answers = &mut operation.responses.responses;
			answers.entry("429".to_owned()).or_insert_with(|| {
				let wait = Header::new(Object::with_type(Type::Integer));
				let answer = problem("Too many requests from one client").header("retry-after", wait);
				RefOr::T(answer.build())
			});
			answers
				.entry("500".to_owned())
				.or_insert_with(|| RefOr::T(problem("A failure of the node; its log has the cause").build()));
		}
	}
}

/// An answer that is a problem.
fn problem(description: &str) -> ResponseBuilder {
	let schema = Ref::from_schema_name(Problem::name());
	ResponseBuilder::new().description(description).content(
		"application/json",
		ContentBuilder::new().schema(Some(schema)).build(),
	)
}

/// Routes that are described, with their description at `/openapi.json`.
pub(super) fn serve<S: Clone + Send + Sync + 'static>(described: OpenApiRouter<S>) -> Router<S> {
	let (router, mut description) = described.split_for_parts();
	describe_common_answers(&mut description);
	description
		.components
		.get_or_insert_default()
		.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
	// Made of strings and lists: this cannot fail.
	let description = Bytes::from(serde_json::to_vec_pretty(&description).unwrap_or_default());
	router.route(
		"/openapi.json",
		get(move || async move { ([(header::CONTENT_TYPE, "application/json")], description.clone()) }),
	)
}
