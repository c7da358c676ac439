//! Steps that befall the server or its disk: `the server is killed`, `the disk is full`.

/// What happens to a scenario's own server. The words are explained in `conformance/README.md`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `hearth stop`, without waiting for the end.
    ToldToStop,
    /// SIGTERM, without waiting for the end.
    Terminated,
    HasStopped {
        within_s: u64,
    },
    /// SIGKILL.
    Killed,
    Starts,
    /// A command of the program, to be carried out without error.
    Runs {
        command: String,
    },
    /// A line of its log holds these, in this order.
    HasLogged {
        parts: String,
    },
    DiskFull,
    DiskHasRoom,
    /// Every sync takes this much longer.
    DiskSlow {
        ms: u32,
    },
    /// No sync comes to an end.
    DiskStalls,
    /// Syncs are as ever, those under way come to their end.
    DiskWorks,
}

impl Fault {
    /// Reads what follows `the `; `None` when it is about neither the server nor the disk.
    ///
    /// # Errors
    /// What is not understood.
    pub(super) fn parse(what: &str, payload: Option<&str>) -> Result<Option<Self>, String> {
        if !what.starts_with("server ") && !what.starts_with("disk ") {
            return Ok(None);
        }
        let unknown = || format!("unknown step `the {what}`");
        if let Some(payload) = payload {
            return match (what, payload.trim()) {
                ("server runs" | "server has logged", "") => Err("nothing follows the colon".to_owned()),
                ("server has logged", parts) => Ok(Some(Self::HasLogged { parts: parts.to_owned() })),
                ("server runs", command) => Ok(Some(Self::Runs { command: command.to_owned() })),
                _ => Err(unknown()),
            };
        }
        Ok(Some(match what {
            "server is told to stop" => Self::ToldToStop,
            "server gets SIGTERM" => Self::Terminated,
            "server has stopped" => Self::HasStopped { within_s: super::step::TIMEOUT_S },
            "server is killed" => Self::Killed,
            "server starts" => Self::Starts,
            "disk is full" => Self::DiskFull,
            "disk has room again" => Self::DiskHasRoom,
            "disk stalls" => Self::DiskStalls,
            "disk works again" => Self::DiskWorks,
            _ => {
                let number = |before, after| {
                    let digits = what.strip_prefix(before)?.strip_suffix(after)?;
                    digits.parse::<u32>().ok().filter(|number| (1..=60_000).contains(number))
                };
                if let Some(ms) = number("disk takes ", " ms to sync") {
                    Self::DiskSlow { ms }
                } else if let Some(s) = number("server has stopped within ", " s") {
                    Self::HasStopped { within_s: s.into() }
                } else {
                    return Err(unknown());
                }
            }
        }))
    }

    /// Whether another program has to hold the server's system calls.
    pub(crate) fn traces(&self) -> bool {
        matches!(self, Self::DiskSlow { .. } | Self::DiskStalls)
    }

    /// Whether the disk has to have a size.
    pub(crate) fn fills(&self) -> bool {
        matches!(self, Self::DiskFull | Self::DiskHasRoom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_befalls_the_server_is_read() {
        let fault = |what| Fault::parse(what, None).unwrap().unwrap();
        assert_eq!(fault("server has stopped within 20 s"), Fault::HasStopped { within_s: 20 });
        assert_eq!(fault("disk takes 60 ms to sync"), Fault::DiskSlow { ms: 60 });
        assert_eq!(Fault::parse("nurse connects", None), Ok(None));
        let runs = Fault::parse("server runs", Some(" session list")).unwrap();
        assert_eq!(runs, Some(Fault::Runs { command: "session list".to_owned() }));
        let logged = Fault::parse("server has logged", Some(" a .. b")).unwrap();
        assert_eq!(logged, Some(Fault::HasLogged { parts: "a .. b".to_owned() }));
        for wrong in ["server dances", "disk is", "disk takes 0 ms to sync", "server runs"] {
            assert!(Fault::parse(wrong, None).is_err(), "{wrong}");
        }
        assert!(Fault::parse("server is killed", Some("x")).is_err());
    }
}
