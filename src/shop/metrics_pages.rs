//! The metrics pages of the shop's processes: asked for, and read. What follows from them is the same whoever has
//! started the processes: `breakers`, `callers`, `witness`.

pub(crate) mod breakers;
mod callers;
pub(crate) mod witness;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use shop_contract::Role;
use tokio::task::JoinSet;

use crate::http::Http;
pub(crate) use callers::{Ledger, add, callers};

/// A process of the shop: its role, and which replica it is.
pub(crate) type Process = (Role, u32);

/// Processes whose pages can be asked for.
pub(crate) trait Pages: Sync {
    /// Asks them, with the token that they want to see.
    fn http(&self) -> &Http;

    /// Their admin listeners, of those that have one now.
    fn admins(&self) -> Vec<(Process, SocketAddr)>;

    /// The port that a caller's figures about a replica are under.
    fn port_for(&self, caller: Process, callee: Process) -> Option<u16>;
}

/// What each process is given to answer.
const LIMIT: Duration = Duration::from_millis(500);

/// A series on an OpenMetrics page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample<'p> {
    /// Its name.
    pub(super) name: &'p str,
    labels: &'p str,
    /// Its value.
    pub(super) value: f64,
}

impl<'p> Sample<'p> {
    /// The value of one of its labels.
    pub(super) fn label(&self, name: &str) -> Option<&'p str> {
        let mut rest = self.labels;
        while let Some((key, after)) = rest.split_once("=\"") {
            let (value, more) = after.split_once('"')?;
            if key.trim_start_matches(',') == name {
                return Some(value);
            }
            rest = more;
        }
        None
    }

    /// Whether one of its labels has this value.
    pub(super) fn has(&self, label: &str, value: &str) -> bool {
        self.label(label) == Some(value)
    }
}

/// The series of a page that have labels. What an exemplar adds behind the value is left out.
pub(super) fn samples(page: &str) -> impl Iterator<Item = Sample<'_>> {
    page.lines().filter_map(|line| {
        let (name, rest) = line.split_once('{')?;
        let (labels, after) = rest.split_once("} ")?;
        let value = after.split(' ').next()?.parse().ok()?;
        Some(Sample {
            name,
            labels,
            value,
        })
    })
}

/// The pages of some processes, all asked at once. Who is dead, or too busy, is left out.
async fn pages(
    shop: &(impl Pages + ?Sized),
    of: impl Fn(Process) -> bool,
) -> BTreeMap<Process, String> {
    let mut asked = JoinSet::new();
    for (process, admin) in shop.admins().into_iter().filter(|(p, _)| of(*p)) {
        let http = shop.http().clone();
        asked.spawn(async move {
            let page = http.get(admin, "/metrics", LIMIT).await.ok()?;
            Some((process, page))
        });
    }
    asked.join_all().await.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_read_with_their_labels_and_without_exemplars() {
        let page = r#"
# TYPE calls histogram
up 1
calls_count{service_name="cart",url="/products/{id}",server="product"} 7 # {trace_id="ab"} 0.1 1.5
state{server="bank"} 2
broken{server="bank" 3
"#;
        let read: Vec<_> = samples(page).collect();
        assert_eq!(read.len(), 2, "{read:?}");
        assert_eq!((read[0].name, read[0].value), ("calls_count", 7.0));
        assert_eq!(read[0].label("server"), Some("product"));
        assert_eq!(read[0].label("url"), Some("/products/{id}"));
        assert!(read[1].has("server", "bank") && !read[1].has("name", "bank"));
    }
}
