//! Words that several extensions share.

pub mod access;
pub mod data_form;
pub mod delay;
pub mod disco;
pub mod hints;
