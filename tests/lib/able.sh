# shellcheck shell=bash
# What a machine has to allow for images to be made: sourced by steps.

# Ends a step that cannot be run on this machine, and says so loudly: image_or_end
# An image needs root, a mount namespace, and a kernel that runs the boards' programs by qemu-user.
image_or_end() {
    local why=
    if [[ $EUID -ne 0 ]]; then
        why="only root can give the files of an image to their users"
    elif ! unshare --mount mount -t tmpfs none /mnt 2>/dev/null; then
        why="this kernel or container lets nobody mount anything"
    elif ! arch-test arm64 >/dev/null 2>&1 && ! mountpoint --quiet /proc/sys/fs/binfmt_misc &&
        ! mount -t binfmt_misc none /proc/sys/fs/binfmt_misc 2>/dev/null; then
        why="this kernel has no binfmt_misc, through which it would run programs of a board"
    fi
    [[ -n $why ]] || return 0
    echo "note: NOT RUN: $why"
    exit 0
}
