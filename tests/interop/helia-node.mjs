// A helia node that speaks Bitswap with peers that it is told: over TCP, Noise and Yamux on the loopback interface, with
// its blocks in memory, and with no router, so that nothing comes from elsewhere.

import { withBitswap } from '@helia/bitswap';
import { withLibp2pLight } from '@helia/libp2p';
import { identify } from '@libp2p/identify';
import { noise } from '@libp2p/noise';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { createHeliaLight } from 'helia';

/** A running node. */
export function startNode() {
	const libp2p = {
		addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
		transports: [tcp()],
		connectionEncrypters: [noise()],
		streamMuxers: [yamux()],
		// Says which protocols a peer speaks: helia asks only those that say they speak Bitswap.
		services: { identify: identify() },
	};
	return withBitswap(withLibp2pLight(createHeliaLight(), libp2p)).start();
}
