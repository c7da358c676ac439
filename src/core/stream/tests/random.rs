//! Whatever happens in whatever order: errors come inside a stream, nothing comes behind the end, and the end comes once.

use proptest::prelude::*;

use super::matrix::EVENTS;
use super::{Script, StartTls, server};

/// What must hold of everything that came out.
fn judge(lines: &[String]) -> Result<(), TestCaseError> {
    let (mut is_open, mut is_closed, mut is_over, mut is_secured) = (false, false, false, false);
    for line in lines {
        prop_assert!(!is_over, "{line} behind the end of all: {lines:#?}");
        match line.as_str() {
            "hang up" => is_over = true,
            _ if is_closed => prop_assert!(false, "{line} behind our end tag: {lines:#?}"),
            "close" => {
                prop_assert!(is_open, "an end tag without a header: {lines:#?}");
                is_closed = true;
            }
            "restart" => (is_open, is_secured) = (false, true),
            header if header.starts_with("header") => {
                prop_assert!(!is_open, "two headers: {lines:#?}");
                is_open = true;
            }
            error if error.starts_with("error") => {
                prop_assert!(is_open, "an error without a stream: {lines:#?}");
                prop_assert!(is_secured || !error.contains("see-other-host"), "{lines:#?}");
            }
            features if features.starts_with("features") => {
                prop_assert!(is_open);
                prop_assert_eq!(features.contains("mechanisms") || features.contains("bind"), is_secured);
            }
            _ => {}
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_order_of_events_breaks_the_stream(
        likely in prop::collection::vec((0..EVENTS.len(), any::<bool>()), 0..60)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut script = Script::new(&runtime.block_on(server()), StartTls::Required, false);
        for (event, is_next) in likely {
            // half of the time what leads on, so that deep states are reached
            let next = script.lines.last().map_or("header", |line| match line.split(' ').next().unwrap_or_default() {
                "start" => "secured",
                "restart" => "header",
                "features" if line.contains("starttls") => "starttls",
                "features" if line.contains("mechanisms") => "auth",
                "features" | "iq" => "bind",
                "look" => "account found",
                "bind" => "bound",
                "challenge" => "response",
                _ => "message",
            });
            let (_, what) = EVENTS.iter().find(|(name, _)| is_next && *name == next).unwrap_or(&EVENTS[event]);
            script.happens(what);
        }
        judge(&script.lines)?;
    }
}
