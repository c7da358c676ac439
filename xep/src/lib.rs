//! xep
