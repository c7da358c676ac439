//! Presence subscriptions: what each subscription stanza does to one account's state towards one contact.
//!
//! RFC 6121 §3 and appendix A, with the pre-approval of §3.4. Pure; `subscription_table.txt` is the appendix as data
//! and the test reads it.

use hearth_wire::PresenceType;

/// One account's state towards one contact (RFC 6121 §A.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Subscription {
    /// The account is subscribed to the contact.
    pub to: bool,
    /// The contact is subscribed to the account.
    pub from: bool,
    /// The account asked and waits for the answer.
    pub pending_out: bool,
    /// The contact asked and waits for the answer.
    pub pending_in: bool,
    /// A request of the contact is approved in advance (§3.4).
    pub approved: bool,
}

/// What the account's server then sends to the contact for each available resource of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// Nothing.
    Nothing,
    /// The last broadcast presence (§3.1.5).
    Current,
    /// Unavailable (§3.2.2, §3.3.3).
    Unavailable,
}

/// What one subscription stanza does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The state afterwards.
    pub state: Subscription,
    /// Outbound: whether the stanza is routed to the contact. Inbound: whether it is delivered to the account.
    pub pass: bool,
    /// What the server answers at once on behalf of the account.
    pub reply: Option<PresenceType>,
    /// What is sent to the contact then.
    pub follow: Follow,
}

impl Subscription {
    /// The `subscription` attribute of a roster item (§2.1.2.5).
    pub const fn attribute(self) -> &'static str {
        match (self.to, self.from) {
            (false, false) => "none",
            (true, false) => "to",
            (false, true) => "from",
            (true, true) => "both",
        }
    }

    /// Whether this state alone makes a roster item: everything but a request that came in (§3.1.3).
    pub const fn makes_item(self) -> bool {
        self.to || self.from || self.pending_out || self.approved
    }

    const fn unchanged(self, pass: bool) -> Change {
        Change { state: self, pass, reply: None, follow: Follow::Nothing }
    }

    const fn into(self, pass: bool, follow: Follow) -> Change {
        Change { state: self, pass, reply: None, follow }
    }

    /// The account sends a subscription stanza to the contact; `None` if `kind` is not one.
    pub fn outbound(self, kind: PresenceType) -> Option<Change> {
        Some(match kind {
            PresenceType::Subscribe => Self { pending_out: !self.to, ..self }.into(true, Follow::Nothing),
            PresenceType::Unsubscribe => {
                Self { to: false, pending_out: false, ..self }.into(true, Follow::Nothing)
            }
            PresenceType::Subscribed if self.pending_in => {
                Self { from: true, pending_in: false, approved: false, ..self }.into(true, Follow::Current)
            }
            PresenceType::Subscribed if self.from => self.unchanged(false),
            PresenceType::Subscribed => Self { approved: true, ..self }.into(false, Follow::Nothing),
            PresenceType::Unsubscribed => {
                let follow = if self.from { Follow::Unavailable } else { Follow::Nothing };
                Self { from: false, pending_in: false, approved: false, ..self }
                    .into(self.from || self.pending_in, follow)
            }
            _ => return None,
        })
    }

    /// A subscription stanza of the contact reaches the account; `None` if `kind` is not one.
    pub fn inbound(self, kind: PresenceType) -> Option<Change> {
        Some(match kind {
            PresenceType::Subscribe if self.from || self.approved => Change {
                state: Self { from: true, pending_in: false, approved: false, ..self },
                pass: false,
                reply: Some(PresenceType::Subscribed),
                follow: Follow::Current,
            },
            PresenceType::Subscribe => {
                Self { pending_in: true, ..self }.into(!self.pending_in, Follow::Nothing)
            }
            PresenceType::Unsubscribe => {
                let heard = self.from || self.pending_in;
                Change {
                    state: Self { from: false, pending_in: false, ..self },
                    pass: heard,
                    reply: heard.then_some(PresenceType::Unsubscribed),
                    follow: if self.from { Follow::Unavailable } else { Follow::Nothing },
                }
            }
            PresenceType::Subscribed if self.pending_out => {
                Self { to: true, pending_out: false, ..self }.into(true, Follow::Nothing)
            }
            PresenceType::Subscribed => self.unchanged(false),
            PresenceType::Unsubscribed => Self { to: false, pending_out: false, ..self }
                .into(self.to || self.pending_out, Follow::Nothing),
            _ => return None,
        })
    }

    /// The state as stored: one bit each.
    pub const fn bits(self) -> u8 {
        self.to as u8
            | (self.from as u8) << 1
            | (self.pending_out as u8) << 2
            | (self.pending_in as u8) << 3
            | (self.approved as u8) << 4
    }

    /// The state from [`bits`](Self::bits).
    pub const fn from_bits(bits: u8) -> Self {
        Self {
            to: bits & 1 != 0,
            from: bits & 2 != 0,
            pending_out: bits & 4 != 0,
            pending_in: bits & 8 != 0,
            approved: bits & 16 != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(name: &str) -> Subscription {
        let mut parts = name.split('+');
        let base = parts.next().unwrap();
        let mut state = Subscription {
            to: matches!(base, "To" | "Both"),
            from: matches!(base, "From" | "Both"),
            ..Subscription::default()
        };
        for part in parts {
            match part {
                "PendingOut" => state.pending_out = true,
                "PendingIn" => state.pending_in = true,
                "PendingOutIn" => (state.pending_out, state.pending_in) = (true, true),
                "Approved" => state.approved = true,
                other => panic!("unknown suffix {other}"),
            }
        }
        state
    }

    fn kind(name: &str) -> Option<PresenceType> {
        Some(match name {
            "subscribe" => PresenceType::Subscribe,
            "subscribed" => PresenceType::Subscribed,
            "unsubscribe" => PresenceType::Unsubscribe,
            "unsubscribed" => PresenceType::Unsubscribed,
            "-" => return None,
            other => panic!("unknown type {other}"),
        })
    }

    #[test]
    fn every_row_of_appendix_a_holds() {
        let mut rows = 0;
        for line in include_str!("subscription_table.txt")
            .lines()
            .filter(|l| !l.starts_with('#') && !l.trim().is_empty())
        {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let [direction, stanza, old, new, pass, reply, presence] = columns[..] else { panic!("{line}") };
            let old = state(old);
            let stanza = kind(stanza).unwrap();
            let change = if direction == "out" { old.outbound(stanza) } else { old.inbound(stanza) }.unwrap();
            let follow = match presence {
                "current" => Follow::Current,
                "unavailable" => Follow::Unavailable,
                _ => Follow::Nothing,
            };
            let expected = Change { state: state(new), pass: pass == "yes", reply: kind(reply), follow };
            assert_eq!(change, expected, "{line}");
            rows += 1;
        }
        assert!(rows >= 72, "only {rows} rows");
    }

    #[test]
    fn bits_lead_back() {
        for bits in 0..32 {
            assert_eq!(Subscription::from_bits(bits).bits(), bits);
        }
    }
}
