//! The network of Cairn: a libp2p host, discovery of providers, and block exchange.
#![deny(missing_docs)]
