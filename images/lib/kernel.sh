# shellcheck shell=bash
# Kernel, modules and the first programs of an image. Sourced by images/build.

# Keeps the modules that packages/modules names and what they need: prune_modules FOLDER
prune_modules() {
    local folder=$1 patterns
    patterns=$(packages_of modules | sed 's,^,^kernel/,' | paste -sd'|')
    # modules.dep names behind each module all that it needs.
    awk -v keep="$patterns" -F'[: ]+' '
        $1 ~ keep { for (i = 1; i <= NF; i++) if ($i != "") print $i }' "$folder/modules.dep" |
        sort --unique >"$folder/kept"
    find "$folder/kernel" -name '*.ko*' -printf 'kernel/%P\n' | sort |
        comm -23 - "$folder/kept" | (cd "$folder" && xargs rm --force)
    find "$folder/kernel" -type d -empty -delete
    rm "$folder/kept"
}

# Makes the initramfs: busybox of the board, its modules in their order, the init: make_initramfs OUT
make_initramfs() {
    local tree=$WORK/initramfs modules=$WORK/root/usr/lib/modules/$KERNEL name path
    mkdir -p "$tree"/{bin,proc,sys,dev,root,boot,modules,run}
    cp "$WORK/root/usr/bin/busybox" "$tree/bin/"
    install --mode=755 "$IMAGES/initramfs/init" "$tree/init"
    echo "DISK_ID=$DISK_ID" >"$tree/disk-id"
    for name in $(packages_of initramfs); do
        # Not every architecture has every one of them as a module.
        path=$(grep --extended-regexp --max-count=1 "/${name//[-_]/[-_]}\.ko[^:]*:" "$modules/modules.dep" || true)
        [[ -n $path ]] || continue
        # Its needs stand behind it, those that need others first.
        tr -d : <<<"$path" | tr ' ' '\n' | tac
    done | awk '!seen[$0]++' | while read -r path; do
        xz --decompress --stdout "$modules/$path" >"$tree/modules/$(basename "$path" .xz)"
        basename "$path" .xz
    done >"$tree/modules/order"
    [[ -s $tree/modules/order ]] || fail "no module for the initramfs was found"
    find "$tree" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
    (cd "$tree" && find . -mindepth 1 -printf '%P\n' | LC_ALL=C sort |
        cpio --quiet --create --format=newc --reproducible --owner=0:0) |
        gzip --no-name -9 >"$1"
}
