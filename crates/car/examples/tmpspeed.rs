use cairn_car::*;
use std::time::Instant;
fn main() {
	let a: Vec<String> = std::env::args().collect();
	let t = Instant::now();
	let p = pack_to_file(&[&a[1]], a[2].as_ref(), &PackOptions::default(), &mut |_| {}).unwrap();
	println!("pack {:?} {:?}", t.elapsed(), p);
	let t = Instant::now();
	let f = CarFile::open(&a[2], ReadOptions::default()).unwrap();
	verify(f.source(), &VerifyOptions::default()).unwrap();
	println!("verify {:?}", t.elapsed());
	let t = Instant::now();
	CarFile::open(&a[2], ReadOptions { ignore_index: true, ..Default::default() }).unwrap();
	println!("scan {:?}", t.elapsed());
	let t = Instant::now();
	let n = cairn_dag::unixfs::export::file(&f, &p.root, &mut std::io::sink(), Default::default()).unwrap();
	println!("read {n} {:?}", t.elapsed());
}
