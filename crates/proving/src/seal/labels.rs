//! Labels of one layer.
//!
//! A label hashes the one before it, so the chain of labels runs on one core, as fast as that core's
//! SHA-256 can go. Everything else is taken off it: a second thread reads the graph's parents ahead,
//! gathers the labels that come from the layer below, and hashes the first block of each preimage,
//! which depends on no label.

use super::{
	at,
	parents::{parents_of, ParentsFile, ENTRY},
	SealError,
};
use crate::sha256::{self, prefetch, Node, NODE};
use cairn_primitives::sdr::{label_header, DEGREE, DRG_DEGREE, EXPANDER_DEGREE, LABEL_PREIMAGE_LEN};
use std::{
	io,
	sync::mpsc::{sync_channel, Receiver, SyncSender},
	thread,
};

/// Nodes that are looked ahead at a time.
const BATCH: u64 = 4096;
/// Batches between the two threads.
const BATCHES: usize = 4;
/// How many nodes ahead parents of the same layer are fetched into the cache.
const PREFETCH_DISTANCE: usize = 24;

/// Inputs of consecutive labels, except for labels of the same layer.
struct Batch {
	first: u64,
	count: usize,
	/// Entries of the parents file.
	entries: Vec<u8>,
	/// Hash states behind the first block.
	states: Vec<[u32; 8]>,
	/// Labels of the expander parents, eight per node; empty in layer 1.
	expander: Vec<[Node; EXPANDER_DEGREE]>,
}

impl Batch {
	fn new(nodes: usize, layer: u32) -> Self {
		Batch {
			first: 0,
			count: 0,
			entries: vec![0; nodes * ENTRY],
			states: vec![sha256::IV; nodes],
			expander: vec![[[0; NODE]; EXPANDER_DEGREE]; if layer > 1 { nodes } else { 0 }],
		}
	}
}

/// Which labels to compute.
pub(crate) struct LayerInputs<'a> {
	pub parents: &'a ParentsFile,
	pub replica_id: [u8; 32],
	/// The layer, from 1.
	pub layer: u32,
	/// All labels of the layer below; empty for layer 1.
	pub below: &'a [u8],
}

/// Computes the labels of nodes 0 up to as many as `labels` holds. `report` hears now and then how
/// many nodes are done and may stop the work with an error.
pub(crate) fn label_layer(
	inputs: &LayerInputs,
	labels: &mut [u8],
	report: &mut dyn FnMut(u64) -> Result<(), SealError>,
) -> Result<(), SealError> {
	let nodes = (labels.len() / NODE) as u64;
	thread::scope(|scope| {
		let (ready, batches) = sync_channel::<io::Result<Batch>>(BATCHES);
		let (recycle, free) = sync_channel::<Batch>(BATCHES);
		for _ in 0..BATCHES {
			// The channel has room for all of them.
			let _ = recycle.send(Batch::new(BATCH.min(nodes) as usize, inputs.layer));
		}
		scope.spawn(move || look_ahead(inputs, nodes, &ready, &free));
		for batch in batches {
			let batch = batch.map_err(at(&inputs.parents.path))?;
			report(batch.first)?;
			if inputs.layer == 1 {
				label_first_layer(&batch, labels);
			} else {
				label_upper_layer(&batch, labels);
			}
			// Fails only when the other thread has finished.
			let _ = recycle.send(batch);
		}
		report(nodes)
	})
}

/// The other thread: fills batches until all nodes are covered or nobody wants them any more.
fn look_ahead(
	inputs: &LayerInputs,
	nodes: u64,
	ready: &SyncSender<io::Result<Batch>>,
	free: &Receiver<Batch>,
) {
	let mut first = 0;
	while first < nodes {
		let Ok(mut batch) = free.recv() else { return };
		let filled = fill(inputs, &mut batch, first, BATCH.min(nodes - first) as usize);
		first += batch.count as u64;
		let failed = filled.is_err();
		if ready.send(filled.map(|()| batch)).is_err() || failed {
			return;
		}
	}
}

fn fill(inputs: &LayerInputs, batch: &mut Batch, first: u64, count: usize) -> io::Result<()> {
	(batch.first, batch.count) = (first, count);
	inputs.parents.read(first, &mut batch.entries[..count * ENTRY])?;
	let below = inputs.below.as_chunks::<NODE>().0;
	let entries = batch.entries.as_chunks::<ENTRY>().0;
	if inputs.layer > 1 {
		for i in 0..count {
			if let Some(ahead) = entries[..count].get(i + PREFETCH_DISTANCE) {
				for parent in &parents_of(ahead)[DRG_DEGREE..] {
					prefetch(&below[*parent as usize]);
				}
			}
			let parents = parents_of(&entries[i]);
			for (label, parent) in batch.expander[i].iter_mut().zip(&parents[DRG_DEGREE..]) {
				*label = below[*parent as usize];
			}
		}
	}
	for (node, state) in (first..).zip(&mut batch.states[..count]) {
		*state = sha256::IV;
		sha256::compress(state, &[label_header(&inputs.replica_id, inputs.layer, node)]);
	}
	Ok(())
}

/// Bits of a label's preimage, as its padding states them.
const PREIMAGE_BITS: u64 = LABEL_PREIMAGE_LEN as u64 * 8;

/// Last block of a preimage: one label and the padding.
fn last_block(label: &Node) -> [u8; 64] {
	let mut block = [0u8; 64];
	block[..NODE].copy_from_slice(label);
	block[NODE] = 0x80;
	block[56..].copy_from_slice(&PREIMAGE_BITS.to_be_bytes());
	block
}

/// The label of node 0: its preimage is the header alone.
fn first_label(state: &[u32; 8]) -> Node {
	let mut block = [0u8; 64];
	block[0] = 0x80;
	block[56..].copy_from_slice(&512u64.to_be_bytes());
	let mut state = *state;
	sha256::compress(&mut state, &[block]);
	sha256::truncated(&state)
}

/// Labels below `node`, to read, and the label of `node`, to write.
fn split(labels: &mut [u8], node: usize) -> (&[Node], &mut Node) {
	let (done, rest) = labels.as_chunks_mut::<NODE>().0.split_at_mut(node);
	(done, &mut rest[0])
}

fn prefetch_drg(done: &[Node], entries: &[[u8; ENTRY]], i: usize) {
	if let Some(ahead) = entries.get(i + PREFETCH_DISTANCE) {
		for parent in &parents_of(ahead)[1..DRG_DEGREE] {
			// Labels that do not exist yet will be in the cache anyway.
			if let Some(label) = done.get(*parent as usize) {
				prefetch(label);
			}
		}
	}
}

/// Layer 1: six labels, six times, and the first one again.
fn label_first_layer(batch: &Batch, labels: &mut [u8]) {
	let entries = &batch.entries.as_chunks::<ENTRY>().0[..batch.count];
	for (i, entry) in entries.iter().enumerate() {
		let node = batch.first as usize + i;
		let (done, own) = split(labels, node);
		if node == 0 {
			*own = first_label(&batch.states[i]);
			continue;
		}
		prefetch_drg(done, entries, i);
		let parents = parents_of(entry);
		let mut repeated = [[0u8; 64]; 3 * 6];
		{
			let slots = repeated.as_flattened_mut().as_chunks_mut::<NODE>().0;
			for (slot, parent) in slots.iter_mut().zip(parents[..DRG_DEGREE].iter().cycle()) {
				*slot = done[*parent as usize];
			}
		}
		let mut state = batch.states[i];
		sha256::compress(&mut state, &repeated);
		sha256::compress(&mut state, &[last_block(&done[parents[0] as usize])]);
		*own = sha256::truncated(&state);
	}
}

/// Layers from 2: fourteen labels, twice, then the first nine.
fn label_upper_layer(batch: &Batch, labels: &mut [u8]) {
	let entries = &batch.entries.as_chunks::<ENTRY>().0[..batch.count];
	for (i, entry) in entries.iter().enumerate() {
		let node = batch.first as usize + i;
		let (done, own) = split(labels, node);
		if node == 0 {
			*own = first_label(&batch.states[i]);
			continue;
		}
		prefetch_drg(done, entries, i);
		let parents = parents_of(entry);
		let mut once = [[0u8; 64]; DEGREE / 2];
		{
			let slots = once.as_flattened_mut().as_chunks_mut::<NODE>().0;
			for (slot, parent) in slots.iter_mut().zip(&parents[..DRG_DEGREE]) {
				*slot = done[*parent as usize];
			}
			slots[DRG_DEGREE..].copy_from_slice(&batch.expander[i]);
		}
		let mut state = batch.states[i];
		sha256::compress(&mut state, &once);
		sha256::compress(&mut state, &once);
		sha256::compress(&mut state, &once[..4]);
		// The ninth label: the third expander parent.
		sha256::compress(&mut state, &[last_block(&batch.expander[i][2])]);
		*own = sha256::truncated(&state);
	}
}
