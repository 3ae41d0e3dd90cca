# shellcheck shell=bash
# Debian packages: sourced by what has to have some.

# Prints those of the packages named that are not installed.
missing_packages() {
    local package
    for package in $(printf '%s\n' "$@" | sort -u); do
        dpkg-query --show --showformat='${Status}\n' "$package" 2>/dev/null |
            grep -q '^install ok installed$' || echo "$package"
    done
}

# Installs those of the packages named that are missing; who is not root is told their names.
install_missing() {
    local missing
    mapfile -t missing < <(missing_packages "$@")
    [[ ${#missing[@]} -eq 0 ]] && return
    if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
        echo "these packages of Debian 12 are missing: ${missing[*]}" >&2
        echo "as root this installs them by itself; steps without packages: fmt clippy docs test" >&2
        exit 2
    fi
    echo "installing ${missing[*]}"
    local log
    log=$(mktemp)
    if ! { apt-get --option Acquire::Retries=5 update &&
        DEBIAN_FRONTEND=noninteractive apt-get --option Acquire::Retries=5 install --yes --no-install-recommends "${missing[@]}"; } \
        </dev/null >"$log" 2>&1; then
        cat "$log" >&2
        echo "apt-get could not install: ${missing[*]}" >&2
        exit 2
    fi
    rm -f "$log"
}
