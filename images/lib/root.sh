# shellcheck shell=bash
# The files of an image. Sourced by images/build.

# Unpacks a package without running its scripts: unpack NAME FOLDER
# shellcheck disable=SC2154 # base is set by images/build
unpack() {
    local packages
    packages=("$base"/unpack/"$1"*.deb)
    dpkg-deb --extract "${packages[0]}" "$2"
}

# Everything that lies on the three partitions: $WORK/root, $WORK/boot, $WORK/data.
make_root() {
    local root=$WORK/root
    mkdir "$root" "$WORK/boot" "$WORK/data"
    tar --extract --numeric-owner --xattrs --xattrs-include='*' --directory "$root" --file "$base/root.tar"
    add_goodwatt "$root"
    add_kernel "$root"
    add_overlay "$root"
    lighten "$root"
    add_data "$root"
    make_initramfs "$WORK/boot/initrd.img"
    find "$root" "$WORK/boot" "$WORK/data" -newermt "@$SOURCE_DATE_EPOCH" \
        -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
}

# Daemon and tool, from the very package that others install.
add_goodwatt() {
    "$IMAGES/deb" "$BOARD" "$WORK" >&2
    dpkg-deb --extract "$WORK"/goodwatt_*.deb "$1"
    systemd-sysusers --root="$1" 2>/dev/null
}

# Kernel, modules, device trees, and what the chips of the boards have to be given.
add_kernel() {
    local tree=$WORK/unpacked
    mkdir "$tree"
    unpack linux-image- "$tree"
    unpack raspi-firmware "$tree"
    unpack firmware-brcm80211 "$tree"
    KERNEL=$(basename "$tree"/usr/lib/modules/*)
    mkdir -p "$1/usr/lib/modules" "$1/usr/lib/firmware"/{brcm,cypress}
    mv "$tree/usr/lib/modules/$KERNEL" "$1/usr/lib/modules/"
    depmod --basedir "$1/usr" --moduledir lib/modules "$KERNEL" 2>/dev/null || depmod --basedir "$1" "$KERNEL"
    prune_modules "$1/usr/lib/modules/$KERNEL"
    depmod --basedir "$1" "$KERNEL"
    # The radios of the boards, and no others.
    cp --no-dereference "$tree"/usr/lib/firmware/brcm/brcmfmac434{30,36,55,56}*raspberrypi* \
        "$tree"/usr/lib/firmware/brcm/brcmfmac434{30,36,55,56}-sdio.{bin,clm_blob,txt} \
        "$1/usr/lib/firmware/brcm/" 2>/dev/null || true
    cp --no-dereference "$tree"/usr/lib/firmware/cypress/cyfmac434{30,55}-sdio.* "$1/usr/lib/firmware/cypress/"
    cp "$tree/boot/vmlinuz-$KERNEL" "$WORK/boot/vmlinuz"
    if [[ $BOARD == arm64 ]]; then
        cp "$tree/usr/lib/linux-image-$KERNEL"/broadcom/bcm2{711,712,837}-rpi-*.dtb "$WORK/boot/"
    else
        find "$tree/usr/lib/linux-image-$KERNEL" -name 'bcm283[67]-rpi-*.dtb' -exec cp {} "$WORK/boot/" \;
    fi
    # As it comes, with its notice: its licence allows that for use with a Raspberry Pi.
    cp "$tree"/usr/lib/raspi-firmware/{bootcode.bin,start.elf,fixup.dat,start_cd.elf,fixup_cd.dat} "$WORK/boot/"
    cp "$tree"/usr/lib/raspi-firmware/{start4,start4cd}.elf "$tree"/usr/lib/raspi-firmware/{fixup4,fixup4cd}.dat "$WORK/boot/"
    for name in raspi-firmware firmware-brcm80211 "linux-image-$KERNEL"; do
        install -D --mode=644 "$tree/usr/share/doc/$name/copyright" "$1/usr/share/doc/$name/copyright"
    done
    cp "$tree/usr/share/doc/raspi-firmware/copyright" "$WORK/boot/LICENCE.raspi-firmware.txt"
    rm --recursive "$tree"
}

# The project's own files, and who is started.
add_overlay() {
    cp --recursive --no-preserve=ownership "$IMAGES/overlay/." "$1/"
    cp "$IMAGES/boot/goodwatt.toml" "$IMAGES/boot/config.txt" "$WORK/boot/"
    [[ $BOARD == arm64 ]] && echo arm_64bit=1 >>"$WORK/boot/config.txt"
    # The last console is where the first messages and a login go: the pins 8 and 10 of the header.
    echo "console=tty0 console=ttyAMA0,115200 console=ttyS1,115200 ro quiet loglevel=4 panic=30" >"$WORK/boot/cmdline.txt"
    ln --symbolic --force /run/systemd/resolve/stub-resolv.conf "$1/etc/resolv.conf"
    : >"$1/etc/machine-id"
    mkdir -p "$1"/{data,boot/firmware,etc/goodwatt,var/lib/goodwatt,root/.ssh}
    chmod 700 "$1/root/.ssh"
    ln --symbolic --force /run/goodwatt-board/authorized_keys "$1/root/.ssh/authorized_keys"
    # Nobody has a password, and nobody can set one by default.
    sed --in-place 's/^root:[^:]*:/root:!:/' "$1/etc/shadow"
    local unit
    for unit in setup.service report.timer wifi.service ssh.service console.service version.service; do
        systemctl --root="$1" --quiet enable "goodwatt-$unit"
    done
    systemctl --root="$1" --quiet enable goodwattd.service systemd-networkd.service \
        systemd-resolved.service systemd-timesyncd.service
    # A login only where it is asked for, and nothing that writes, waits or updates by itself,
    # or serves seats and tracers that a board does not have.
    systemctl --root="$1" --quiet disable wpa_supplicant.service dropbear.service 2>/dev/null || true
    systemctl --root="$1" --quiet mask getty@.service serial-getty@.service getty-static.service \
        autovt@.service systemd-networkd-wait-online.service fstrim.timer e2scrub_all.timer \
        e2scrub_reap.service apt-daily.timer dpkg-db-backup.timer systemd-pcrphase.service \
        systemd-firstboot.service systemd-journal-catalog-update.service systemd-logind.service \
        dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount
}

# Takes away what no board of ours needs.
lighten() {
    rm --recursive --force "$1"/usr/share/{locale,man,info,lintian,bug,pixmaps,zsh,fish,bash-completion}/* \
        "$1"/var/cache/* "$1"/var/log/* "$1"/var/lib/apt/* "$1"/usr/lib/systemd/boot "$1"/etc/cron* \
        "$1"/usr/share/i18n "$1"/boot/vmlinuz* "$1"/var/lib/systemd/*
    find "$1/usr/lib" -name '*.pyc' -delete
    # Caches that are made from the rest, and only fit the day they were made.
    rm --force "$1"/var/cache/ldconfig/aux-cache "$1"/etc/ld.so.cache
    chroot_ldconfig "$1"
    mkdir -p "$1"/var/log "$1"/var/cache/apt "$1"/var/lib/systemd
}

# The cache of shared libraries, by the image's own program.
chroot_ldconfig() { run_foreign; chroot "$1" /sbin/ldconfig; rm --force "$1"/var/cache/ldconfig/aux-cache; }

# What the data partition begins with.
add_data() {
    local user group
    user=$(awk -F: '$1 == "goodwatt" { print $3 }' "$1/etc/passwd")
    group=$(awk -F: '$1 == "goodwatt" { print $4 }' "$1/etc/passwd")
    mkdir -p "$WORK/data"/{goodwatt,etc,systemd,board,ssh,versions}
    chmod 700 "$WORK/data"/{goodwatt,board,ssh}
    chown "$user:$group" "$WORK/data/goodwatt"
    # The configuration is made at the first start, not taken from the package.
    rm "$1/etc/goodwatt/goodwatt.toml"
}
