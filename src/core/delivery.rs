//! Which resources get a stanza: RFC 6121 §8.5 as one pure function per kind, so that its table can be read here.

use hearth_wire::{IqType, Kind, MessageType, PresenceType};

/// One resource as far as delivery asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// It sent initial presence.
    pub(crate) available: bool,
    /// The priority it said.
    pub(crate) priority: i8,
    /// It is the one the `to` names.
    pub(crate) addressed: bool,
}

/// What is done with the stanza.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// To the resource that `to` names.
    Addressed,
    /// To every available resource whose priority is not negative.
    NonNegative,
    /// To every available resource.
    Available,
    /// Nobody can take it now: it may be kept for later.
    Unclaimed,
    /// `service-unavailable` to the sender.
    Bounce,
    /// Silently ignored, as the RFC asks.
    Ignore,
    /// The server answers on behalf of the account.
    Server,
}

/// The choice for a stanza to a local account that exists. `full`: `to` has a resource.
pub(crate) fn choose(kind: Kind, full: bool, candidates: impl Iterator<Item = Candidate>) -> Choice {
    let (mut matches, mut non_negative) = (false, false);
    for candidate in candidates {
        matches |= full && candidate.addressed;
        non_negative |= candidate.available && candidate.priority >= 0;
    }
    match kind {
        Kind::Message(_) if matches => Choice::Addressed,
        Kind::Message(kind) if full => message_without_match(kind, non_negative),
        Kind::Message(kind) => message_to_bare(kind, non_negative),
        Kind::Presence(kind) => presence(kind, full, matches),
        Kind::Iq(kind) => iq(kind, full, matches),
    }
}

/// §8.5.2.1.1, §8.5.2.2.1.
fn message_to_bare(kind: MessageType, non_negative: bool) -> Choice {
    match kind {
        MessageType::Groupchat => Choice::Bounce,
        MessageType::Error => Choice::Ignore,
        MessageType::Normal | MessageType::Chat | MessageType::Headline if non_negative => {
            Choice::NonNegative
        }
        MessageType::Normal | MessageType::Chat => Choice::Unclaimed,
        MessageType::Headline => Choice::Ignore,
    }
}

/// §8.5.3.2.1.
fn message_without_match(kind: MessageType, non_negative: bool) -> Choice {
    match kind {
        MessageType::Chat if non_negative => Choice::NonNegative,
        MessageType::Chat => Choice::Unclaimed,
        MessageType::Error => Choice::Ignore,
        MessageType::Normal | MessageType::Groupchat | MessageType::Headline => Choice::Bounce,
    }
}

/// §8.5.2.1.2, §8.5.2.2.2, §8.5.3.1, §8.5.3.2.2. Subscriptions and probes never come here.
fn presence(kind: PresenceType, full: bool, matches: bool) -> Choice {
    match kind {
        _ if matches => Choice::Addressed,
        PresenceType::Available | PresenceType::Unavailable if !full => Choice::Available,
        _ => Choice::Ignore,
    }
}

/// §8.5.2.1.3, §8.5.2.2.3, §8.5.3.1, §8.5.3.2.3.
fn iq(kind: IqType, full: bool, matches: bool) -> Choice {
    match kind {
        _ if matches => Choice::Addressed,
        IqType::Get | IqType::Set if full => Choice::Bounce,
        IqType::Get | IqType::Set => Choice::Server,
        IqType::Result | IqType::Error => Choice::Ignore,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(priority: i8) -> Candidate {
        Candidate { available: true, priority, addressed: false }
    }

    /// RFC 6121 §8.5.4, table 1, row by row: conditions and the choices for normal, chat, groupchat, headline.
    #[test]
    fn table_1_of_section_8_5_4_holds() {
        use Choice::{Addressed, Bounce, Ignore, NonNegative, Unclaimed};
        let addressed = |priority| Candidate { addressed: true, ..resource(priority) };
        let rows: [(bool, Vec<Candidate>, [Choice; 4]); 11] = [
            (false, vec![], [Unclaimed, Unclaimed, Bounce, Ignore]),
            (true, vec![], [Bounce, Unclaimed, Bounce, Bounce]),
            (false, vec![resource(-1)], [Unclaimed, Unclaimed, Bounce, Ignore]),
            (true, vec![addressed(-1)], [Addressed; 4]),
            (true, vec![resource(-1)], [Bounce, Unclaimed, Bounce, Bounce]),
            (false, vec![resource(0)], [NonNegative, NonNegative, Bounce, NonNegative]),
            (true, vec![addressed(0)], [Addressed; 4]),
            (true, vec![resource(0)], [Bounce, NonNegative, Bounce, Bounce]),
            (false, vec![resource(0), resource(5)], [NonNegative, NonNegative, Bounce, NonNegative]),
            (true, vec![resource(5), addressed(0)], [Addressed; 4]),
            (true, vec![resource(0), resource(5)], [Bounce, NonNegative, Bounce, Bounce]),
        ];
        let types = [MessageType::Normal, MessageType::Chat, MessageType::Groupchat, MessageType::Headline];
        for (full, candidates, choices) in rows {
            for (kind, choice) in types.into_iter().zip(choices) {
                let chosen = choose(Kind::Message(kind), full, candidates.iter().copied());
                assert_eq!(chosen, choice, "{kind:?} full={full} {candidates:?}");
            }
            let error = choose(Kind::Message(MessageType::Error), full, candidates.iter().copied());
            let expected = if candidates.iter().any(|c| c.addressed) { Addressed } else { Ignore };
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn a_resource_without_presence_gets_only_what_is_addressed_to_it() {
        let silent = Candidate { available: false, priority: 0, addressed: false };
        assert_eq!(choose(Kind::Message(MessageType::Chat), false, [silent].into_iter()), Choice::Unclaimed);
        let addressed = Candidate { addressed: true, ..silent };
        assert_eq!(
            choose(Kind::Message(MessageType::Chat), true, [addressed].into_iter()),
            Choice::Addressed
        );
    }

    #[test]
    fn an_iq_to_an_account_is_answered_by_the_server_and_to_nobody_bounced() {
        assert_eq!(choose(Kind::Iq(IqType::Get), false, std::iter::empty()), Choice::Server);
        assert_eq!(choose(Kind::Iq(IqType::Set), true, std::iter::empty()), Choice::Bounce);
        assert_eq!(choose(Kind::Iq(IqType::Result), true, std::iter::empty()), Choice::Ignore);
        assert_eq!(choose(Kind::Iq(IqType::Error), false, [resource(0)].into_iter()), Choice::Ignore);
    }
}
