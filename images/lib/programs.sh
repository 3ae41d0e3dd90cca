# shellcheck shell=bash
# Daemon and tool as they are shipped. Sourced by what builds or packs them, from the top folder.

# With the owner's finger: an image whose owner has no sensor never runs a line of it.
readonly SHIPPED=(--locked --release --package goodwatt --features finger --bins)

# Builds what is shipped: build_programs arm64|armhf|amd64
build_programs() {
    case $1 in
    arm64) images/toolchain aarch64 -- build "${SHIPPED[@]}" ;;
    armhf) images/toolchain armv7 -- build "${SHIPPED[@]}" ;;
    amd64) cargo build "${SHIPPED[@]}" ;;
    esac
}

# The folder that goodwattd and goodwatt are built into: programs_of arm64|armhf|amd64
programs_of() {
    case $1 in
    arm64) echo "$CARGO_TARGET_DIR/cross/aarch64-unknown-linux-gnu/release" ;;
    armhf) echo "$CARGO_TARGET_DIR/cross/armv7-unknown-linux-gnueabihf/release" ;;
    amd64) echo "$CARGO_TARGET_DIR/release" ;;
    esac
}
