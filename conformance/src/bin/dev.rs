//! `cargo dev …`; see `conformance/README.md`.

fn main() -> std::process::ExitCode {
    hearth_conformance::dev::main()
}
