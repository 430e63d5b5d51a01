//! Refusals that several routes have in common, as the OpenAPI document describes them. What a route alone has to say
//! is in its own annotation.
#![allow(
	dead_code,
	reason = "the variants describe answers; handlers make them as a `Failure`"
)]

use super::shapes::Problem;
use utoipa::IntoResponses;

/// Of what is for who may change the block store ([`crate::access`]).
#[derive(IntoResponses)]
pub(in crate::http) enum Guarded {
	/// A token is needed
	#[response(status = 401)]
	NeedsToken(Problem),
	/// Not from this machine
	#[response(status = 403)]
	FromElsewhere(Problem),
}

/// The same of what is for everybody if it is here.
#[derive(IntoResponses)]
pub(super) enum GuardedUnlessHere {
	/// It is not here, and a token is needed
	#[response(status = 401)]
	NeedsToken(Problem),
	/// It is not here, and the request not from this machine
	#[response(status = 403)]
	FromElsewhere(Problem),
}

/// Of routes whose path has a CID.
#[derive(IntoResponses)]
#[response(status = 400, description = "The CID is malformed")]
pub(super) struct MalformedCid(Problem);

/// Of routes that read a block or dataset of this node.
#[derive(IntoResponses)]
#[response(status = 404, description = "Not stored here")]
pub(super) struct NotHere(Problem);

/// Of routes that store something.
#[derive(IntoResponses)]
#[response(status = 507, description = "The quota or the disk has no room")]
pub(super) struct NoRoom(Problem);

/// Of routes that begin an upload.
#[derive(IntoResponses)]
pub(super) enum NoUpload {
	/// An impossible name or media type, or no data
	#[response(status = 422)]
	Impossible(Problem),
	/// Too many uploads are open
	#[response(status = 503)]
	TooMany(Problem),
	/// The quota or the disk has no room
	#[response(status = 507)]
	NoRoom(Problem),
}

/// Of routes about an upload that is open.
#[derive(IntoResponses)]
#[response(status = 404, description = "No such upload")]
pub(super) struct NoSuchUpload(Problem);

/// Of uploads and fetches that end while a request waits for them.
#[derive(IntoResponses)]
#[response(status = 409, description = "It was given up meanwhile")]
pub(super) struct GivenUp(Problem);

/// Of routes that send data.
#[derive(IntoResponses)]
#[response(status = 503, description = "Too many downloads are running")]
pub(super) struct TooManyDownloads(Problem);

/// Of routes about a fetch.
#[derive(IntoResponses)]
#[response(status = 404, description = "It is not being fetched")]
pub(super) struct NotFetched(Problem);

/// Of routes that ask peers.
#[derive(IntoResponses)]
pub(super) enum NotDelivered {
	/// Nobody is found who has it
	#[response(status = 404)]
	NotFound(Problem),
	/// Nobody of those who may have it sends it
	#[response(status = 504)]
	Silent(Problem),
}

/// Of routes that have a dataset fetched.
#[derive(IntoResponses)]
pub(super) enum NotFollowed {
	/// The root is malformed
	#[response(status = 422)]
	Malformed(Problem),
	/// The root's codec is unknown, and so what belongs to it
	#[response(status = 501)]
	UnknownCodec(Problem),
}
