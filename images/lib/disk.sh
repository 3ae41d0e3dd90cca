# shellcheck shell=bash
# Partitions and what is published. Sourced by images/build.

# In MiB: the first partition holds two kernels, the root has room for later versions of itself, and
# the data partition takes the rest of the card at the first start.
readonly BOOT_AT=4 BOOT_SIZE=128 ROOT_SIZE=288 DATA_SIZE=32
readonly ROOT_AT=$((BOOT_AT + BOOT_SIZE)) DATA_AT=$((BOOT_AT + BOOT_SIZE + ROOT_SIZE))
readonly END_AT=$((BOOT_AT + BOOT_SIZE + ROOT_SIZE + DATA_SIZE))

# Writes the three partitions and their table: make_disk FILE
make_disk() {
    truncate --size="$((END_AT + 1))M" "$1"
    sfdisk --quiet "$1" <<TABLE
label: dos
label-id: 0x$DISK_ID
unit: sectors
start=$((BOOT_AT * 2048)), size=$((BOOT_SIZE * 2048)), type=c, bootable
start=$((ROOT_AT * 2048)), size=$((ROOT_SIZE * 2048)), type=83
start=$((DATA_AT * 2048)), size=$((DATA_SIZE * 2048)), type=83
TABLE
    make_fat "$WORK/p1"
    make_ext4 "$WORK/p2" "$ROOT_SIZE" goodwatt-root "$ROOT_UUID" "$WORK/root" -b 4096 -O ^has_journal -m 0
    make_ext4 "$WORK/p3" "$DATA_SIZE" goodwatt-data "$DATA_UUID" "$WORK/data" -b 4096 -i 16384 -m 1 -E resize=134217728
    local number at
    for number in 1 2 3; do
        case $number in 1) at=$BOOT_AT ;; 2) at=$ROOT_AT ;; 3) at=$DATA_AT ;; esac
        dd if="$WORK/p$number" of="$1" bs=1M seek="$at" conv=notrunc,sparse status=none
    done
    # Behind the last partition: who finds it knows that the whole image was written.
    printf 'goodwatt: end.' | dd of="$1" bs=1M seek="$END_AT" conv=notrunc status=none
}

make_fat() {
    truncate --size="${BOOT_SIZE}M" "$1"
    mkfs.fat --invariant -F 32 -s 1 -n GOODWATT -i "$BOOT_ID" "$1" >/dev/null
    find "$WORK/boot" -exec touch --date="@$SOURCE_DATE_EPOCH" {} +
    # In the order of the alphabet, as the shell gives them.
    mcopy -spmQ -i "$1" "$WORK/boot"/* ::
}

# make_ext4 FILE MIB LABEL UUID TREE OPTIONS...
make_ext4() {
    local extended=hash_seed=$4,lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0 options=() word
    truncate --size="$2M" "$1"
    # All extended options go into one.
    for word in "${@:6}"; do
        [[ $word == resize=* ]] && { extended+=,$word; continue; }
        [[ $word == -E ]] || options+=("$word")
    done
    mke2fs -q -t ext4 -L "$3" -U "$4" -E "$extended" "${options[@]}" -d "$5" "$1" ||
        fail "the files for $3 need more than $2 MiB"
    # When a file was unpacked and read here must not be seen in the image; only its content's age can
    # be set from outside.
    find "$5" -printf '/%P\n' | sort | while read -r path; do
        printf 'set_inode_field "%s" ctime @%s\n' "$path" "$SOURCE_DATE_EPOCH"
        printf 'set_inode_field "%s" atime @%s\n' "$path" "$SOURCE_DATE_EPOCH"
    done >"$1.times"
    debugfs -w -f "$1.times" "$1" >/dev/null 2>&1
    e2fsck -fn "$1" >/dev/null || fail "the file system for $3 is not clean"
}

# Compresses, and writes what stands beside an image: publish FILE
publish() {
    local name folder image=$1
    folder=$(dirname "$OUT") name=$(basename "$OUT" .xz)
    bmaptool --quiet create --output "$folder/$name.bmap" "$image"
    # Without the date, which bmaptool takes from the clock.
    sed --in-place '/Generated/d; /generated on/d' "$folder/$name.bmap"
    # Blocks of one size give the same bytes with any number of threads above one.
    xz --stdout --threads=2 --block-size=24MiB -6 "$image" >"$OUT.new"
    mv "$OUT.new" "$OUT"
    packages_list >"$folder/$name.packages.txt"
    licences >"$folder/$name.licences.txt"
    manifest "$image" "$name" >"$folder/$name.rpi-imager-manifest"
    (cd "$folder" && sha256sum "$name.xz" "$name".{bmap,packages.txt,licences.txt,rpi-imager-manifest} >SHA256SUMS)
    note "$(du --apparent-size --block-size=1 "$OUT" | cut -f1) bytes in $OUT"
}

packages_list() {
    awk '/^Package: / { name = $2 } /^Version: / { print name, $2 }' "$WORK/root/var/lib/dpkg/status"
    # shellcheck disable=SC2154 # set by images/build
    for file in "$base"/unpack/*.deb "$WORK"/goodwatt_*.deb; do
        # shellcheck disable=SC2016 # expanded by dpkg
        dpkg-deb --show --showformat='${Package} ${Version}\n' "$file"
    done
}

# The licence of each package: the short names its own copyright file gives.
licences() {
    local folder
    for folder in "$WORK"/root/usr/share/doc/*/; do
        [[ -e $folder/copyright ]] || continue
        printf '%s: ' "$(basename "$folder")"
        { grep --text '^License: ' "$folder/copyright" || echo 'License: see its copyright file'; } |
            sed 's/^License: *//' | sort --unique | paste -sd';'
    done
    echo
    echo "The full texts lie in the image under /usr/share/doc/PACKAGE/copyright. The source of each"
    echo "Debian package: deb-src lines of Debian $SUITE, with the versions of the list of packages."
}

# What Raspberry Pi Imager reads: it must not try to set up this image in its own way.
manifest() {
    local devices='"pi3-64bit", "pi4-64bit"'
    [[ $BOARD == armhf ]] && devices='"pi2-32bit", "pi3-32bit", "pi4-32bit"'
    cat <<JSON
{
  "os_list": [
    {
      "name": "Goodwatt ($BOARD)",
      "description": "A validator for boards that sip power. Settings: goodwatt.toml on the card.",
      "icon": "https://github.com/goodwatt/goodwatt/raw/main/docs/book/icon.png",
      "website": "https://github.com/goodwatt/goodwatt",
      "url": "https://github.com/goodwatt/goodwatt/releases/latest/download/$2.xz",
      "bmap_url": "https://github.com/goodwatt/goodwatt/releases/latest/download/$2.bmap",
      "release_date": "$(date -u -d "@$SOURCE_DATE_EPOCH" +%F)",
      "extract_size": $(stat --format=%s "$1"),
      "extract_sha256": "$(sha256sum "$1" | cut -d' ' -f1)",
      "image_download_size": $(stat --format=%s "$OUT"),
      "image_download_sha256": "$(sha256sum "$OUT" | cut -d' ' -f1)",
      "architecture": "$([[ $BOARD == arm64 ]] && echo armv8 || echo armv7)",
      "devices": [$devices],
      "init_format": "none"
    }
  ]
}
JSON
}
