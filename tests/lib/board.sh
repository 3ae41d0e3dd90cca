# shellcheck shell=bash
# Emulated boards that start from the very image: sourced by steps and by whoever wants to look.
#
# A board is a folder: its card, its serial console in `serial`, the emulator's number in `pid`.
# Its owner has an SSH key and a forwarded port; what the image does not open stays closed.

# An emulated board on a shared machine is slow; a hang is endless.
readonly BOOT_SECONDS_MAX=${BOOT_SECONDS_MAX:-900}
readonly MIB=1048576
# Where the partitions begin, in MiB: images/lib/disk.sh.
# shellcheck disable=SC2034 # for who sources this
readonly BOOT_MIB=4 ROOT_MIB=132 DATA_MIB=420

# The image to start from, unpacked once: use_image FILE.img[.xz] FOLDER
use_image() {
    BOARDS=$2
    mkdir -p "$BOARDS"
    IMAGE=$BOARDS/image.img
    [[ $IMAGE -nt $1 ]] || {
        case $1 in *.xz) xz --decompress --stdout "$1" ;; *) cat "$1" ;; esac |
            dd of="$IMAGE.new" bs=1M conv=sparse status=none
        mv "$IMAGE.new" "$IMAGE"
    }
    [[ -e $BOARDS/key ]] || ssh-keygen -q -t ed25519 -N '' -C tests -f "$BOARDS/key"
    [[ -e $BOARDS/vmlinuz && $BOARDS/vmlinuz -nt $IMAGE ]] || {
        from_boot "$IMAGE" vmlinuz >"$BOARDS/vmlinuz"
        from_boot "$IMAGE" initrd.img >"$BOARDS/initrd.img"
    }
}

# Reads and writes the first partition of a card as a laptop would.
from_boot() { mtype -i "$1@@$((BOOT_MIB * MIB))" "::$2"; }
to_boot() { mcopy -o -i "$1@@$((BOOT_MIB * MIB))" - "::$2"; }

# A card that was just written, with this goodwatt.toml (- for none): new_card NAME FILE [MIB]
new_card() {
    local folder=$BOARDS/$1
    stop_board "$1" 2>/dev/null || true
    rm -rf "$folder"
    mkdir -p "$folder"
    cp --sparse=always "$IMAGE" "$folder/card"
    truncate --size="${3:-1024}M" "$folder/card"
    if [[ $2 == - ]]; then
        mdel -i "$folder/card@@$((BOOT_MIB * MIB))" ::goodwatt.toml
    else
        to_boot "$folder/card" goodwatt.toml <"$2"
    fi
}

# A goodwatt.toml for tests, with more lines after it: board_toml NAME LINES...
board_toml() {
    printf '[board]\nname = "%s"\nssh_keys = ["%s"]\n' "$1" "$(cat "$BOARDS/key.pub")"
    shift
    printf '%s\n' "$@"
}

# Starts a board: start_board NAME NUMBER [QEMU-ARGUMENTS...]. Its SSH is at port 22000+NUMBER of
# this machine, its page at 29000+NUMBER; boards share a wire of their own with names by NUMBER.
start_board() {
    local name=$1 number=$2 folder=$BOARDS/$1
    shift 2
    # Its time goes with its instructions, 125 million a second as on a small board: on a busy
    # machine it is slow, but no time of its own runs out.
    nice -n 10 qemu-system-aarch64 -M virt -cpu cortex-a53 -icount shift=3 -m "${BOARD_MIB:-512}" -display none -no-reboot \
        -kernel "$BOARDS/vmlinuz" -initrd "$BOARDS/initrd.img" \
        -append "console=ttyAMA0 ro quiet loglevel=4 panic=5 ${BOARD_APPEND:-}" \
        -drive "if=none,id=card,format=raw,file=$folder/card,cache=writeback" \
        -device virtio-blk-device,drive=card \
        -netdev "user,id=home,net=10.0.2.0/24,hostfwd=tcp:127.0.0.1:$((22000 + number))-:22,hostfwd=tcp:127.0.0.1:$((29000 + number))-:9460,hostfwd=tcp:127.0.0.1:$((29100 + number))-:9461" \
        -device "virtio-net-device,netdev=home,mac=52:54:00:12:34:$(printf %02x "$number")" \
        -device virtio-rng-device \
        -serial "file:$folder/serial" -monitor none -pidfile "$folder/pid" -daemonize "$@"
    echo "$number" >"$folder/number"
    date +%s.%N >"$folder/started"
}

# Pulls the plug.
stop_board() {
    local pid
    pid=$(cat "$BOARDS/$1/pid" 2>/dev/null) || return 0
    kill -9 "$pid" 2>/dev/null || true
    while [[ -e /proc/$pid ]]; do sleep 0.1; done
    rm -f "$BOARDS/$1/pid"
}

runs() { [[ -e /proc/$(cat "$BOARDS/$1/pid" 2>/dev/null || echo none) ]]; }

# Runs a command on a board as its owner would: on NAME COMMAND...
on() {
    local name=$1
    shift
    ssh -q -i "$BOARDS/key" -p $((22000 + $(cat "$BOARDS/$name/number"))) -o BatchMode=yes \
        -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=20 \
        -o ServerAliveInterval=10 root@127.0.0.1 "$@"
}

# Looks again and again until a command succeeds: within SECONDS WHAT COMMAND...
within() {
    local seconds=$1 what=$2 begin=$SECONDS
    shift 2
    until "$@" >/dev/null 2>&1; do
        if [[ $((SECONDS - begin)) -gt $seconds ]]; then
            echo "not within $seconds s: $what" >&2
            return 1
        fi
        sleep 1
    done
}

# Waits until a line with these words is on the serial console: says NAME WORDS [SECONDS]
says() { within "${3:-$BOOT_SECONDS_MAX}" "$1 says $2" grep --quiet --text "$2" "$BOARDS/$1/serial"; }

# Waits until the daemon of a board answers.
answers() { within "$BOOT_SECONDS_MAX" "$1 answers" on "$1" goodwatt status; }

# What the daemon of a board says of one thing: status_of NAME KEY
status_of() { on "$1" goodwatt --json status | python3 -c 'import json,sys; print(json.load(sys.stdin)[sys.argv[1]])' "$2"; }

# A partition of a card, as one hash: hash_of NAME FROM-MIB MIB
hash_of() { dd if="$BOARDS/$1/card" bs=1M skip="$2" count="$3" status=none | sha256sum | cut -d' ' -f1; }

# Shows the end of a board's console, for who reads why a step failed.
show_console() { echo "----- console of $1"; tail -n 40 "$BOARDS/$1/serial" | tr -d '\r'; }

# Starts a Raspberry Pi 3B from the SD model, with Debian's own device tree: start_pi NAME. It has no
# network there; what it says is on its serial console. Its card has to be a power of two in size.
start_pi() {
    local folder=$BOARDS/$1
    from_boot "$IMAGE" bcm2837-rpi-3-b.dtb >"$BOARDS/pi.dtb"
    nice -n 10 qemu-system-aarch64 -M raspi3b -display none -no-reboot -icount shift=3 \
        -kernel "$BOARDS/vmlinuz" -initrd "$BOARDS/initrd.img" -dtb "$BOARDS/pi.dtb" \
        -append "console=ttyAMA0,115200 ro quiet loglevel=4 panic=5" \
        -drive "if=sd,format=raw,file=$folder/card" \
        -serial "file:$folder/serial" -monitor none -pidfile "$folder/pid" -daemonize
}
