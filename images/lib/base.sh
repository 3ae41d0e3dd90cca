# shellcheck shell=bash
# The part of an image that is Debian's alone: made once for each list of packages, then kept.
# Sourced by images/build.

readonly SUITE=trixie
# Of everything in the base: it must not depend on the day it was made.
readonly BASE_EPOCH=1793491200

# The packages named in a list: packages_of NAME
packages_of() { grep --invert-match '^#' "$IMAGES/packages/$1"; }

# What apt of this machine uses for Debian, told of another suite: one line for each source. With
# GOODWATT_SECURITY=without it goes without Debian's security updates: for tries while an archive's copy is not whole.
sources() {
    # shellcheck disable=SC2016 # expanded by apt-get
    apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' 'Origin: Debian' |
        sort --unique | while read -r uri name; do
        case $name in
        *-security) [[ ${GOODWATT_SECURITY:-} == without ]] || echo "deb $uri $SUITE-security main non-free-firmware" ;;
        *-updates | *-backports) ;;
        *) echo "deb $uri $SUITE main non-free-firmware" ;;
        esac
    done | sort --unique
}

# What names a base: its lists, how it is made, and the state of the archive it is made from, if
# that is known ($GOODWATT_SNAPSHOT).
base_key() {
    { echo "$SUITE $BOARD $BASE_EPOCH ${GOODWATT_SNAPSHOT:-} ${GOODWATT_SECURITY:-}"
        packages_of common && packages_of firmware && packages_of "kernel-$BOARD"
        cat "$IMAGES/lib/base.sh"; } | sha256sum | cut -c1-16
}

# Lets this kernel run programs of the board: by qemu-user, where it does not yet.
run_foreign() {
    arch-test "$BOARD" >/dev/null 2>&1 && return
    local name=aarch64
    [[ $BOARD == armhf ]] && name=arm
    mountpoint --quiet /proc/sys/fs/binfmt_misc ||
        mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
    [[ -e /proc/sys/fs/binfmt_misc/qemu-$name ]] ||
        cat "/usr/lib/binfmt.d/qemu-$name.conf" >/proc/sys/fs/binfmt_misc/register
    arch-test "$BOARD" >/dev/null || fail "this kernel runs no programs for $BOARD"
}

# Downloads packages that are unpacked only, into a folder: a hook of mmdebstrap.
# The metapackage of the kernel is followed to the package that holds it.
download_hook() {
    # shellcheck disable=SC2016 # expanded by the hook's shell
    echo 'export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"; cd "'"$1"'"
        for name in '"$(packages_of firmware | paste -sd' ') $(packages_of "kernel-$BOARD")"'; do
            case $name in
            linux-image-*) name=$(apt-cache depends --no-recommends --no-suggests "$name" |
                sed -n "s/^ *Depends: //p" | grep "^linux-image-" | head -n1) ;;
            esac
            apt-get download --quiet=2 "$name"
        done'
}

# Makes the base, or finds it; prints the folder with root.tar and the packages to unpack.
make_base() {
    local kept partial options
    kept=$CACHE/base-$BOARD-$(base_key)
    if [[ ! -e $kept/root.tar ]]; then
        note "making the base for $BOARD: once for each list of packages, 5 to 15 minutes"
        run_foreign
        partial=$(mktemp --directory "$CACHE/partial.XXXXXX")
        mkdir "$partial/unpack"
        # The archive's own user, that downloads them, has to be let in.
        chmod 755 "$partial" && chmod 777 "$partial/unpack"
        options=$(apt-config dump --no-empty --format '%F "%v";%n' |
            grep --extended-regexp '^Acquire::(Check|https?::)' || true)
        sources | SOURCE_DATE_EPOCH=$BASE_EPOCH mmdebstrap --quiet --mode=root --variant=essential \
            --architectures="$BOARD" --include="$(packages_of common | paste -sd,)" \
            --aptopt=<(echo "$options") --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Retries "5"' \
            --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
            --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
            --dpkgopt='path-include=/usr/share/doc/*/copyright' \
            --customize-hook="$(download_hook "$partial/unpack")" \
            "$SUITE" "$partial/root.tar" - >&2 || {
            # Nothing half is kept: it would be taken for whole next time.
            rm --recursive "$partial"
            fail "the base for $BOARD could not be made: see the messages of mmdebstrap above"
        }
        mv --no-target-directory "$partial" "$kept"
    fi
    echo "$kept"
}
