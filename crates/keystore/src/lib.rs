//! Accounts of the network: keys, signatures, addresses, and the files that keep keys.
//!
//! The crate derives sr25519 key pairs from secret URIs ([`SecretUri`], [`Mnemonic`]), signs and checks
//! messages the way Substrate chains do ([`Keypair`], [`verify`]), reads and writes SS58 addresses
//! ([`address`]), and keeps keys in polkadot.js' encrypted JSON ([`KeyFile`]), one file per account in a
//! folder ([`Keystore`]).
//!
//! It knows no chain client, configuration or home folder: a program hands over the paths and, in a
//! [`PasswordSource`], says where its password comes from. The one thing it does with a terminal is to ask for
//! a secret without showing it. Secrets are wiped from memory when dropped and never appear in `Debug` output.
//!
//! Start reading at [`Keypair`], then [`KeyFile`].

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod address;
mod key_file;
mod keypair;
mod keystore;
mod mnemonic;
mod password;
mod pkcs8;
mod private_file;
mod sealed_key;
mod signature;
mod suri;

pub use key_file::{DecryptError, EncryptError, KeyFile, ParseError, MAX_KEY_FILE_BYTES};
pub use keypair::{InvalidSecret, Keypair};
pub use keystore::{Keystore, KeystoreError, MAX_NAME_BYTES};
pub use mnemonic::{Mnemonic, MnemonicError, WordCount};
pub use password::{Password, PasswordError, PasswordSource, PasswordSourceParseError, MAX_PASSWORD_BYTES};
pub use private_file::{read_bounded, write_private, Overwrite, ReadError, WriteError};
pub use sealed_key::ScryptCost;
pub use signature::{verify, verify_multi_signature, wrap_bytes, SignatureError};
pub use suri::{Junction, SecretUri, SuriError, DEV_PHRASE};
