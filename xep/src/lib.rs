//! Every XMPP extension: one file each, joined by one line in the list below.
//!
//! The order of the list is the order of their code within a stage (`xep/plan.txt` shows the result). What several
//! extensions share is in [`vocab`]; otherwise none knows another.

use hearth_core::module::Module;

#[cfg(test)]
mod testing;
pub mod vocab;

macro_rules! xeps {
    ($($name:ident,)*) => {
        $(mod $name;)*

        /// All extensions, in order.
        pub const MODULES: &[Module] = &[$($name::MODULE,)*];
    };
}

xeps! {
    xep0203_delay,
    xep0030_disco,
    xep0115_caps,
    xep0092_version,
    xep0199_ping,
    xep0202_time,
    xep0012_last,
    xep0160_offline,
    xep0077_register,
    xep0049_private,
    xep0440_sasl_channel_binding,
    xep0050_adhoc,
}
