//! Options of the verbs that go to the network, and the client they make.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::session::Session;
use crate::config;
use crate::net;
use crate::ops::context::Outside;
use crate::problem::Problem;
use crate::store::Store;

/// Options of verbs that go to the network.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct NetworkArguments {
    /// Also trust the certificate authorities in FILE (PEM), whatever other settings say
    #[arg(long, value_name = "FILE", help_heading = "Network options")]
    ca_file: Vec<PathBuf>,
    /// Speak plain HTTP with HOST, or HOST:PORT, although it is not this machine; where the client's own settings say so
    /// too (npm's `strict-ssl=false`), do not check its certificate either
    #[arg(long, value_name = "HOST", help_heading = "Network options")]
    insecure_host: Vec<String>,
    /// Move at most so many bytes a second, for example 2MiB
    #[arg(long, value_name = "BYTES", value_parser = rate, help_heading = "Network options")]
    limit_rate: Option<u64>,
    /// How many transfers at once
    #[arg(short, long, value_name = "NUMBER", default_value = "32", value_parser = clap::value_parser!(u16).range(1..=256), help_heading = "Network options")]
    pub(super) jobs: u16,
}

impl NetworkArguments {
    /// The same, with authorities and hosts that a file names besides; its paths do not begin at -C.
    pub(super) fn and(mut self, ca_files: &[PathBuf], insecure_hosts: &[String]) -> NetworkArguments {
        let whole = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        self.ca_file.extend(ca_files.iter().map(whole));
        self.insecure_host.extend_from_slice(insecure_hosts);
        self
    }

    /// The context of a collecting job that works in `directory`.
    pub(super) fn outside(
        &self,
        session: &Session,
        store: &Store,
        directory: &Path,
    ) -> Result<Arc<Outside>, Problem> {
        let mut settings = net::Settings::from_environment(config::variable);
        settings.ca_files.extend(self.ca_file.iter().map(|path| session.path(path)));
        settings.insecure_hosts.extend(self.insecure_host.iter().cloned());
        settings.rate_limit = self.limit_rate;
        let client = Arc::new(net::Client::new(settings)?);
        let (events, cancel) = (session.events.clone(), session.cancel.clone());
        Ok(Arc::new(Outside::new(store, client, events, cancel, directory)?))
    }
}

/// Reads a number of bytes: plain, or with K, M, G, KiB, MiB, GiB.
fn rate(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 =
        number.parse().map_err(|_| "expected a number of bytes, such as 500K or 2MiB".to_owned())?;
    let factor: u64 = match unit.to_ascii_lowercase().trim_end_matches('b').trim_end_matches('i') {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return Err(format!("{unit:?} is not a unit; use K, M or G")),
    };
    number.checked_mul(factor).filter(|rate| *rate > 0).ok_or_else(|| "the rate is out of range".to_owned())
}

#[cfg(test)]
mod tests {
    use super::rate;

    #[test]
    fn rates_are_read_with_units() {
        assert_eq!(rate("1000"), Ok(1000));
        assert_eq!(rate("500K"), Ok(500 << 10));
        assert_eq!(rate("2MiB"), Ok(2 << 20));
        assert!(rate("0").is_err() && rate("fast").is_err() && rate("2X").is_err());
        assert!(rate("99999999999999999999G").is_err());
    }
}
