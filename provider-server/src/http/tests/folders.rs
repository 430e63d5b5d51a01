//! The deserialising gateway: folders.

use super::{
	trustless::{add, folder},
	*,
};
use cairn_dag::{unixfs::Node, BlockSource};

const POLICY: &str =
	"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

fn text(answer: &Answer) -> String {
	String::from_utf8(answer.body.to_vec()).unwrap()
}

#[tokio::test]
async fn lists_and_index_pages() {
	let mut memory = MemoryBlocks::new();
	let file = add(&mut memory, 0x55, b"content");
	let index = add_file(&mut memory, b"<h1>home</h1>");
	let site = folder(&mut memory, &[("index.html", index), ("other", file)]);
	let odd = folder(&mut memory, &[("index.html", site)]);
	let inner = folder(&mut memory, &[("ę ?", site), ("plik.txt", file)]);
	let root = folder(&mut memory, &[("odd", odd), ("site", site), ("ą", inner)]);
	let (_world, router, _) = with_dag(test_config(), &memory, root).await;

	// Where relative links would be wrong, the way leads elsewhere.
	for (path, location) in [
		(format!("/ipfs/{root}"), format!("/ipfs/{root}/")),
		(
			format!("/ipfs/{root}/%C4%85?filename=x&y=%2f"),
			format!("/ipfs/{root}/%C4%85/?filename=x&y=%2f"),
		),
		(format!("/ipfs/{root}/site"), format!("/ipfs/{root}/site/")),
		(format!("/ipfs/{root}//site"), format!("/ipfs/{root}//site/")),
	] {
		for method in [Method::GET, Method::HEAD] {
			let answer = ask(&router, method, &path, &[], Body::empty()).await;
			assert_eq!(answer.status, StatusCode::MOVED_PERMANENTLY, "{path}");
			assert_eq!(answer.header("location"), location);
		}
	}

	let list = get(&router, &format!("/ipfs/{root}/%C4%85/"), &[]).await;
	assert_eq!(list.status, StatusCode::OK);
	assert_eq!(list.header("content-type"), "text/html; charset=utf-8");
	assert_eq!(list.header("content-security-policy"), POLICY);
	assert_eq!(list.header("x-content-type-options"), "nosniff");
	assert_eq!(list.header("x-ipfs-roots"), format!("{root},{inner}"));
	assert_eq!(
		list.header("cache-control"),
		"public, max-age=604800, stale-while-revalidate=2678400"
	);
	let etag = list.header("etag").to_owned();
	assert_eq!(etag, format!("\"DirIndex-1_CID-{inner}\""));
	let html = text(&list);
	for part in [
		"Index of".to_owned(),
		format!("/ipfs/<a href=\"/ipfs/{root}\">{root}</a>/<a href=\"/ipfs/{root}/%C4%85\">ą</a>"),
		format!("<a href=\"/ipfs/{root}/%C4%85/..\">..</a>"),
		format!("<a href=\"/ipfs/{root}/%C4%85/%C4%99%20%3F\">ę ?</a>"),
		format!("<a class=\"ipfs-hash\" translate=\"no\" href=\"/ipfs/{file}?filename=plik.txt\">"),
		"100 B".to_owned(),
		"href=\"?format=car\"".to_owned(),
	] {
		assert!(html.contains(&part), "{part}\n{html}");
	}
	for tag in [etag.clone(), format!("W/{etag}")] {
		let path = format!("/ipfs/{root}/%C4%85/");
		let unchanged = get(&router, &path, &[("if-none-match", &tag)]).await;
		assert_eq!(unchanged.status, StatusCode::NOT_MODIFIED, "{tag}");
	}
	let top = text(&get(&router, &format!("/ipfs/{root}/"), &[]).await);
	assert!(!top.contains(">..</a>"), "there is nothing above a root");
	let head = ask(
		&router,
		Method::HEAD,
		&format!("/ipfs/{root}/"),
		&[],
		Body::empty(),
	)
	.await;
	assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));

	let home = get(
		&router,
		&format!("/ipfs/{root}/site/"),
		&[("accept", "text/html,*/*;q=0.8")],
	)
	.await;
	assert_eq!(home.body, "<h1>home</h1>");
	assert_eq!(home.header("content-type"), "text/html; charset=utf-8");
	assert_eq!(home.header("etag"), format!("\"{site}\""));
	assert_eq!(home.header("x-ipfs-roots"), format!("{root},{site}"));
	assert!(home.header("content-security-policy").starts_with("sandbox"));
	assert_eq!(
		home.header("cache-control"),
		"public, max-age=29030400, immutable"
	);
	let part = get(&router, &format!("/ipfs/{root}/site/"), &[("range", "bytes=4-7")]).await;
	assert_eq!(part.body, "home");
	// A folder by that name is none to show.
	let odd = text(&get(&router, &format!("/ipfs/{root}/odd/"), &[]).await);
	assert!(odd.contains("Index of"));
}

#[tokio::test]
async fn names_cannot_break_out_of_a_list() {
	let mut memory = MemoryBlocks::new();
	let file = add(&mut memory, 0x55, b"content");
	let hostile = [
		"<script>alert(1)</script>",
		"\"><img src=x onerror=alert(1)>",
		"' onmouseover='alert(1)",
		"javascript:alert(1)",
		"//evil.example/",
		"..",
		".",
		"a/../../b",
		"&lt;b&gt;",
		"\u{202e}gnp.exe",
		"nul\0byte",
		"new\nline",
	];
	let entries: Vec<_> = hostile.iter().map(|name| (*name, file)).collect();
	let root = folder(&mut memory, &entries);
	let above = folder(&mut memory, &[("<b onclick=x>", root)]);
	let (_world, router, _) = with_dag(test_config(), &memory, above).await;
	for path in [
		format!("/ipfs/{root}/"),
		format!("/ipfs/{above}/%3Cb%20onclick=x%3E/"),
	] {
		let answer = get(&router, &path, &[]).await;
		let html = text(&answer);
		for tag in ["<script", "<img", "<b", "<b onclick"] {
			// `<body>` is the page's own.
			assert_eq!(
				html.matches(tag).count(),
				usize::from(tag == "<b"),
				"{tag}\n{html}"
			);
		}
		for attribute in html.split("href=").skip(1) {
			assert!(
				["\"/ipfs/baf", "\"?format="]
					.iter()
					.any(|own| attribute.starts_with(own)),
				"{attribute}"
			);
		}
		for quoted in html.split('<').filter(|tag| tag.starts_with("a ")) {
			let tag = quoted.split('>').next().unwrap();
			assert!(!tag.contains('\'') && tag.matches('"').count() % 2 == 0, "{tag}");
			assert!(!tag.contains("onerror") || tag.contains("%20onerror%3D"), "{tag}");
		}
		assert!(!html.contains('\0'));
		assert_eq!(answer.header("content-security-policy"), POLICY);
	}
	// Each can be asked for by the link that the list gives.
	let html = text(&get(&router, &format!("/ipfs/{root}/"), &[]).await);
	let links: Vec<&str> = html
		.split(&format!("href=\"/ipfs/{root}/"))
		.skip(1)
		.map(|rest| rest.split('"').next().unwrap())
		.collect();
	assert_eq!(
		links.len(),
		hostile.len() - 4,
		"without those that have a slash or are dots: {links:?}"
	);
	for link in links {
		let answer = get(&router, &format!("/ipfs/{root}/{link}"), &[]).await;
		assert_eq!(
			(answer.status, &*answer.body),
			(StatusCode::OK, &b"content"[..]),
			"{link}"
		);
	}
}

#[tokio::test]
async fn folders_of_ten_thousand_entries() {
	const ENTRIES: usize = 10_000;
	let names: Vec<String> = (0..ENTRIES).map(|n| format!("entry {n:05}")).collect();
	let mut memory = MemoryBlocks::new();
	let file = add(&mut memory, 0x55, b"content");
	let entries: Vec<_> = names.iter().map(|name| (name.as_str(), file)).collect();
	let plain = folder(&mut memory, &entries);
	let dir = tempfile::tempdir().unwrap();
	for name in &names {
		std::fs::write(dir.path().join(name), name).unwrap();
	}
	let imported = Importer::new(&mut memory, ImportOptions::default())
		.path(dir.path())
		.unwrap();
	let sharded = imported.root;
	let block = memory.get(&sharded).unwrap().unwrap();
	assert_eq!(Node::decode(&block), Ok(Node::ShardedDirectory));
	let root = folder(&mut memory, &[("plain", plain), ("sharded", sharded)]);
	let (_world, router, _) = with_dag(test_config(), &memory, root).await;
	for kind in ["plain", "sharded"] {
		let here = format!("/ipfs/{root}/{kind}");
		let html = text(&get(&router, &format!("{here}/"), &[]).await);
		assert!(html.ends_with("</html>\n"));
		let listed: Vec<&str> = html
			.split(&format!("<a href=\"{here}/entry%20"))
			.skip(1)
			.map(|rest| &rest[..5])
			.collect();
		assert_eq!(listed.len(), ENTRIES, "{kind}");
		assert!(listed.is_sorted(), "{kind}");
	}
	let one = get(&router, &format!("/ipfs/{root}/sharded/entry%2004711"), &[]).await;
	assert_eq!(one.body, "entry 04711");
	let roots = one.header("x-ipfs-roots").split(',').count();
	assert_eq!(roots, 3, "shards are no roots");
	let none = get(&router, &format!("/ipfs/{root}/sharded/entry%2010000"), &[]).await;
	assert_eq!(none.problem(), ErrorKind::NotFound);
}
