//! The one TLS provider of every client: ring. A client that is built before it is installed panics, so clients are built here.

use reqwest::ClientBuilder;

/// Installs the provider for this process; calling it again changes nothing.
pub fn install() {
    // The error says that a provider is installed already, which is what is wanted.
    _ = rustls::crypto::ring::default_provider().install_default();
}

/// An HTTP client that can speak TLS, to be configured further.
pub fn http() -> ClientBuilder {
    install();
    reqwest::Client::builder()
}

/// An HTTP client as it comes.
pub fn client() -> reqwest::Client {
    install();
    reqwest::Client::new()
}
