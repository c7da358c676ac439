//! Every XMPP extension: one file each, joined by one line in the list below.
//!
//! The order of the list is the order of their code within a stage (`xep/plan.txt` shows the result). What several
//! extensions share is in [`vocab`]; otherwise none knows another.

use hearth_core::module::Module;

pub mod vocab;

macro_rules! xeps {
    ($($name:ident,)*) => {
        $(mod $name;)*

        /// All extensions, in order.
        pub const MODULES: &[Module] = &[$($name::MODULE,)*];
    };
}

xeps! {
    xep0050_adhoc,
}
