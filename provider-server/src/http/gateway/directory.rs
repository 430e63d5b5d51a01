//! Folders: their `index.html`, or else a list of what is in them.

use super::{
	escape::{segment, Html},
	file,
	representation::{Content, Representation, PAGE},
	resolve::{self, Target},
	walk_memory::{Held, Metered, Remembered, WalkMemory},
	Asked,
};
use crate::retrieval::NodeBlocks;
use cairn_dag::{
	unixfs::{self, DirectoryEntry, Node, ResolveError},
	Block,
};
use cairn_provider_api::Problem;
use cid::Cid;
use std::{
	io::{self, Write},
	sync::Arc,
};

/// The entry that a folder shows in place of a list.
const INDEX: &str = "index.html";

/// Part of the lists' tags: to be counted up when they change.
const VERSION: u32 = 1;

/// Bytes of names that are kept to sort them. Longer lists stand in the order of the folder's blocks, which of
/// sharded folders is none.
const MAX_SORTED: usize = 4 << 20;

/// Longest list in entries. Whoever needs more takes the CAR of the folder.
const MAX_ENTRIES: usize = 200_000;

/// Pages of the gateway's own hold no script, load nothing and are embedded nowhere.
pub(super) const POLICY: &str =
	"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What a folder shows.
///
/// # Errors
/// Failures to read it; `Busy` if no memory is left to list it.
pub(super) fn represent(
	blocks: Arc<NodeBlocks>,
	asked: &Asked,
	target: &Target,
	memory: &WalkMemory,
) -> Result<Representation, Problem> {
	let cid = *target.cid();
	if let Some((block, size)) = index(&blocks, &cid)? {
		// The tag is the folder's: its URL is.
		let file = file::File {
			cid: *block.cid(),
			tag: cid,
			size,
		};
		return file::serve(blocks, asked, &file, Some(INDEX), memory);
	}
	let place = Place {
		root: asked.root,
		names: asked
			.path
			.split('/')
			.filter(|name| !name.is_empty())
			.map(str::to_owned)
			.collect(),
		cid,
	};
	let blocks = Metered::new(blocks, Remembered::Always, memory)?;
	let sorted = memory.hold(0)?;
	let content = Content::Stream(Box::new(move |out| write_list(&blocks, &place, sorted, out)));
	Ok(Representation {
		cache_control: Some(PAGE),
		policy: Some(POLICY),
		..Representation::new(
			format!("\"DirIndex-{VERSION}_CID-{cid}\""),
			"text/html; charset=utf-8",
			content,
		)
	})
}

/// The folder's `index.html` and its size, if it has one that is a file.
fn index(blocks: &NodeBlocks, cid: &Cid) -> Result<Option<(Block, u64)>, Problem> {
	let found = match unixfs::resolve(blocks, cid, INDEX) {
		Ok(found) => resolve::load(blocks, &found.cid)?,
		Err(ResolveError::NotFound { .. }) => return Ok(None),
		Err(error) => {
			tracing::warn!(%cid, %error, "a folder cannot be read");
			return Err(match error {
				ResolveError::Read(unixfs::ReadError::Missing { cid }) => super::missing(&cid),
				error => Problem::new(
					cairn_provider_api::ErrorKind::Internal,
					format!("the folder cannot be read: {error}"),
				)
				.hint("add ?format=car to see its blocks"),
			});
		}
	};
	Ok(match Node::decode(&found) {
		Ok(Node::File(file)) => Some((found, file.size)),
		_ => None,
	})
}

/// Which folder a list is of.
struct Place {
	root: Cid,
	/// The names from the root to it.
	names: Vec<String>,
	cid: Cid,
}

impl Place {
	/// The path of the first `depth` names in a URL.
	fn url(&self, depth: usize) -> String {
		let mut url = format!("/ipfs/{}", self.root);
		for name in &self.names[..depth] {
			url.push('/');
			url.extend(segment(name));
		}
		url
	}
}

fn write_list(
	blocks: &Metered<Arc<NodeBlocks>>,
	place: &Place,
	mut memory: Held,
	out: &mut impl Write,
) -> io::Result<()> {
	write_head(place, out)?;
	let here = place.url(place.names.len());
	let mut entries = unixfs::entries(blocks, &place.cid)
		.map_err(io::Error::other)?
		.take(MAX_ENTRIES + 1);
	let mut sorted = Vec::new();
	let mut bytes = 0;
	let mut written = 0;
	for entry in entries.by_ref() {
		let entry = entry.map_err(io::Error::other)?;
		bytes += entry.name.len() + size_of::<DirectoryEntry>();
		memory.grow_to(bytes as u64).map_err(io::Error::other)?;
		sorted.push(entry);
		if bytes > MAX_SORTED {
			break;
		}
	}
	sorted.sort_by(|a, b| a.name.cmp(&b.name));
	for entry in sorted.into_iter().map(Ok).chain(entries) {
		if written == MAX_ENTRIES {
			writeln!(
				out,
				"<tr><td colspan=\"3\">There are more: <a href=\"?format=car&amp;dag-scope=entity\">the folder's blocks</a> \
				 name them all.</td></tr>"
			)?;
			break;
		}
		write_entry(&entry.map_err(io::Error::other)?, &here, out)?;
		written += 1;
	}
	writeln!(out, "</tbody>\n</table>\n</body>\n</html>")
}

const STYLE: &str = "body{font-family:system-ui,sans-serif;margin:2em auto;max-width:60em;padding:0 1em}\
	table{border-collapse:collapse;width:100%}td{border-top:1px solid #ccc;padding:.3em .6em .3em 0;\
	overflow-wrap:anywhere}td:last-child{text-align:right;white-space:nowrap}.ipfs-hash{font-family:monospace}";

/// Writes the beginning of a page of the gateway's own, up to its content.
pub(super) fn write_page_head(title: &str, out: &mut impl Write) -> io::Result<()> {
	let title = Html(title);
	writeln!(
		out,
		"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
		 <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
		 <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>"
	)
}

fn write_head(place: &Place, out: &mut impl Write) -> io::Result<()> {
	let depth = place.names.len();
	let path: Vec<&str> = place.names.iter().map(String::as_str).collect();
	write_page_head(&format!("/ipfs/{}/{}", place.root, path.join("/")), out)?;
	write!(
		out,
		"<h1>Index of</h1>\n<p>/ipfs/<a href=\"{}\">{}</a>",
		place.url(0),
		place.root
	)?;
	for (index, name) in place.names.iter().enumerate() {
		write!(out, "/<a href=\"{}\">{}</a>", place.url(index + 1), Html(name))?;
	}
	write!(
		out,
		"</p>\n<p class=\"ipfs-hash\" translate=\"no\">{}</p>\n<p>",
		place.cid
	)?;
	for (format, label) in [
		("car", "CAR"),
		("tar", "TAR"),
		("dag-json", "DAG-JSON"),
		("raw", "block"),
	] {
		write!(out, "<a href=\"?format={format}\">{label}</a> ")?;
	}
	writeln!(out, "</p>\n<table>\n<tbody>")?;
	if depth > 0 {
		writeln!(
			out,
			"<tr><td><a href=\"{}/..\">..</a></td><td></td><td></td></tr>",
			place.url(depth)
		)?;
	}
	Ok(())
}

fn write_entry(entry: &DirectoryEntry, here: &str, out: &mut impl Write) -> io::Result<()> {
	let DirectoryEntry { name, cid, tsize } = entry;
	let shown = Html(name);
	write!(out, "<tr><td>")?;
	// These have no URL: browsers and this server read them as something else.
	if name.is_empty() || name == "." || name == ".." || name.contains('/') {
		write!(out, "{shown}")?;
	} else {
		write!(out, "<a href=\"{here}/{}\">{shown}</a>", segment(name))?;
	}
	write!(
		out,
		"</td><td><a class=\"ipfs-hash\" translate=\"no\" href=\"/ipfs/{cid}?filename={}\">{cid}</a></td><td>",
		segment(name)
	)?;
	if let Some(bytes) = tsize {
		write!(out, "{}", Size(*bytes))?;
	}
	writeln!(out, "</td></tr>")
}

/// A number of bytes with about three digits.
pub(super) struct Size(pub u64);

impl std::fmt::Display for Size {
	fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
		const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
		if self.0 < 1024 {
			return write!(f, "{} B", self.0);
		}
		let mut size = self.0 as f64 / 1024.0;
		let mut unit = 0;
		while size >= 1024.0 && unit + 1 < UNITS.len() {
			size /= 1024.0;
			unit += 1;
		}
		write!(f, "{size:.1} {}", UNITS[unit])
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn sizes() {
		for (bytes, text) in [
			(0, "0 B"),
			(1023, "1023 B"),
			(1024, "1.0 KiB"),
			(1536, "1.5 KiB"),
			(1 << 20, "1.0 MiB"),
			(u64::MAX, "16.0 EiB"),
		] {
			assert_eq!(Size(bytes).to_string(), text);
		}
	}

	#[test]
	fn entries_without_a_url_are_named_only() {
		let row = |name: &str| {
			let entry = DirectoryEntry {
				name: name.to_owned(),
				cid: "bafkqaaa".parse().unwrap(),
				tsize: Some(5),
			};
			let mut out = Vec::new();
			write_entry(&entry, "/ipfs/bafkqaaa", &mut out).unwrap();
			String::from_utf8(out).unwrap()
		};
		for name in ["", ".", "..", "a/b"] {
			assert!(row(name).starts_with(&format!("<tr><td>{name}</td>")), "{name}");
		}
		assert!(row("...").contains("href=\"/ipfs/bafkqaaa/...\""));
		assert_eq!(
			row("a:b?"),
			"<tr><td><a href=\"/ipfs/bafkqaaa/a%3Ab%3F\">a:b?</a></td><td><a class=\"ipfs-hash\" translate=\"no\" \
			 href=\"/ipfs/bafkqaaa?filename=a%3Ab%3F\">bafkqaaa</a></td><td>5 B</td></tr>\n"
		);
	}
}
