//! Accounts on domains that are no host: the configuration has changed since they were made. Nobody can log in to them,
//! and nothing is routed to them; an admin must not lose sight of them.

use std::sync::Arc;

use hearth_store::{Sql, SqlExt as _, StoreError, Value};

use crate::account_table;
use crate::error::Internal;
use crate::host::Hosts;
use crate::server::Server;

/// Domains that are told by name; the others are counted.
const TOLD_MAX: usize = 20;

/// What can be done about them.
pub const FIX: &str = "give the server a [[host]] of that domain again, or make the accounts anew on another one and remove \
                       these (`hearth account list`, `hearth account remove`)";

/// A domain that has accounts and is no host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unserved {
    /// The prepared domain.
    pub domain: String,
    /// How many accounts it has.
    pub accounts: i64,
}

/// The domains that have accounts and are not among the hosts, by name.
///
/// # Errors
/// [`StoreError`].
pub fn load(sql: &mut dyn Sql, hosts: &Hosts) -> Result<Vec<Unserved>, StoreError> {
    let mut found = Vec::new();
    let mut last = String::new();
    // from domain to domain by the index: of a host that is served, no account is looked at
    while let Some(domain) = next_domain(sql, &last)? {
        if hosts.get(&domain).is_none() {
            found.push(Unserved { accounts: account_table::count(sql, &domain)?, domain: domain.clone() });
        }
        last = domain;
    }
    Ok(found)
}

fn next_domain(sql: &mut dyn Sql, last: &str) -> Result<Option<String>, StoreError> {
    sql.optional(
        "SELECT domain FROM core_account WHERE domain > ?1 ORDER BY domain LIMIT 1",
        &[Value::Text(last)],
        |row| Ok(row.text(0)?.to_owned()),
    )
}

/// All of them as a line; `None`: there is none.
pub fn describe(unserved: &[Unserved]) -> Option<String> {
    let each = unserved.iter().take(TOLD_MAX).map(|Unserved { domain, accounts }| {
        let word = if *accounts == 1 { "account" } else { "accounts" };
        format!("{accounts} {word} of {domain}")
    });
    let mut told: Vec<String> = each.collect();
    match unserved {
        [] => return None,
        [_] => return Some(format!("{}, which is no [[host]]", told.join(""))),
        more if more.len() > TOLD_MAX => {
            told.push(format!("those of {} more domains", more.len() - TOLD_MAX))
        }
        _ => {}
    }
    Some(format!("{}, which are no [[host]]", told.join(", ")))
}

impl Server {
    /// The domains that have accounts and are no host now, by name.
    ///
    /// # Errors
    /// [`Internal`].
    pub async fn unserved(&self) -> Result<Vec<Unserved>, Internal> {
        let hosts = Arc::clone(&self.hosts());
        Ok(self.store().read(move |sql| load(sql, &hosts)).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unserved(n: usize) -> Vec<Unserved> {
        (0..n).map(|n| Unserved { domain: format!("{n}.example"), accounts: n as i64 + 1 }).collect()
    }

    #[test]
    fn all_are_told_in_one_line() {
        assert_eq!(describe(&[]), None);
        assert_eq!(describe(&unserved(1)).unwrap(), "1 account of 0.example, which is no [[host]]");
        let two = describe(&unserved(2)).unwrap();
        assert_eq!(two, "1 account of 0.example, 2 accounts of 1.example, which are no [[host]]");
        let many = describe(&unserved(TOLD_MAX + 3)).unwrap();
        assert!(
            many.ends_with("20 accounts of 19.example, those of 3 more domains, which are no [[host]]"),
            "{many}"
        );
    }
}
