# shellcheck shell=bash
# Emulated boards that start from the very image: sourced by steps and by whoever wants to look.
#
# A board is a folder: its card, its serial console in `serial`, the emulator's number in `pid`.
# Its owner has an SSH key and a forwarded port; what the image does not open stays closed.

source tests/lib/able.sh

# arm64, or armhf for boards of 32 bits.
readonly BOARD_ARCHITECTURE=${BOARD_ARCHITECTURE:-arm64}
case $BOARD_ARCHITECTURE in
arm64) EMULATOR=(qemu-system-aarch64 -M virt -cpu cortex-a53) ;;
armhf) EMULATOR=(qemu-system-arm -M "virt,highmem=off" -cpu cortex-a7) ;;
esac
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
            dd of="$IMAGE.new.$$" bs=1M conv=sparse status=none
        mv "$IMAGE.new.$$" "$IMAGE"
    }
    [[ -e $BOARDS/key ]] || ssh-keygen -q -t ed25519 -N '' -C tests -f "$BOARDS/key"
    [[ -e $BOARDS/vmlinuz && $BOARDS/vmlinuz -nt $IMAGE ]] || {
        from_boot "$IMAGE" vmlinuz >"$BOARDS/vmlinuz"
        from_boot "$IMAGE" initrd.img >"$BOARDS/initrd.img"
    }
}

# The image that the step image built, or one built now; where it cannot be built, the step ends.
# The boards named are stopped at the end, and shown when something fails: begin BOARDS...
begin() {
    local file=${BOARD_IMAGE:-$CARGO_TARGET_DIR/image/goodwatt-$BOARD_ARCHITECTURE.img.xz}
    local folder=$CARGO_TARGET_DIR/boards-$BOARD_ARCHITECTURE
    mkdir -p "$folder"
    # One after another, where steps run beside each other.
    exec 8>"$folder/lock"
    flock 8
    if [[ ! -e $file ]]; then
        image_or_end
        images/build --board "$BOARD_ARCHITECTURE" "$file"
    fi
    use_image "$file" "$folder"
    exec 8>&-
    readonly ALL_BOARDS="$*"
    trap finish EXIT
    trap 'each_board show_console' ERR
    # Shown functions, too: what fails in one of them is no less a failure.
    set -o errtrace
}

# Pulls all plugs; cards are kept where something failed.
finish() {
    local status=$? board
    for board in $ALL_BOARDS; do
        stop_board "$board"
        [[ $status -ne 0 ]] || rm -rf "${BOARDS:?}/$board"
    done
    [[ -z $WIRE ]] || ip netns delete "$WIRE"
    [[ -z $SENSOR_PID ]] || kill "$SENSOR_PID" 2>/dev/null || true
}
each_board() { local board; for board in $ALL_BOARDS; do "$1" "$board"; done; }
fail() { echo "FAIL: $1" >&2; return 1; }

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
# this machine, its page at 29000+NUMBER; it reaches nobody. After lay_wire it is 10.77.0.NUMBER on that wire.
# Its time goes with its instructions, 250 million a second, about a third of what the core of a Zero
# 2 W does at 1 GHz: on a busy machine it is slow, but no time of its own runs out. With BOARD_CLOCK=hasty its time also goes on at once
# where it only waits: hours in a minute, for who asks nothing over the network meanwhile. With
# BOARD_NETWORK=none no cable is in, BOARD_CARD has more options of the card's drive.
start_board() {
    local number=$2 folder=$BOARDS/$1 sleep=on
    shift 2
    [[ ${BOARD_CLOCK:-} != hasty ]] || sleep=off
    local network=(-nic none)
    local card=(-device "virtio-net-device,netdev=home,mac=52:54:00:12:34:$(printf %02x "$number")")
    if [[ -n $WIRE ]]; then
        in_wire ip link show "board$number" >/dev/null 2>&1 || in_wire ip tuntap add "board$number" mode tap
        in_wire ip link set "board$number" master wire up
        network=(-netdev "tap,id=home,ifname=board$number,script=no,downscript=no" "${card[@]}")
    elif [[ ${BOARD_NETWORK:-} != none ]]; then
        # Restricted: a board in a hurry would ask for time servers and names a thousand times a minute.
        network=(-netdev "user,id=home,restrict=on,net=10.0.2.0/24$(printf ',hostfwd=tcp:127.0.0.1:%s-:%s' \
            $((22000 + number)) 22 $((29000 + number)) 9460)" "${card[@]}")
    fi
    in_wire nice -n 5 "${EMULATOR[@]}" -icount shift=2,sleep=$sleep -m "${BOARD_MIB:-512}" -display none -no-reboot \
        -kernel "$BOARDS/vmlinuz" -initrd "$BOARDS/initrd.img" \
        -append "console=ttyAMA0 ro quiet loglevel=4 panic=5 ${BOARD_APPEND:-}" \
        -drive "if=none,id=card,format=raw,file=$folder/card,cache=writeback${BOARD_CARD:-}" \
        -device virtio-blk-device,drive=card \
        "${network[@]}" \
        -device virtio-rng-device \
        -chardev "socket,id=line,path=$folder/line,server=on,wait=off,logfile=$folder/serial" -serial chardev:line \
        -monitor none -pidfile "$folder/pid" -daemonize "$@"
    echo "$number" >"$folder/number"
}

# Joins the boards that start from now on by a wire in a network of its own: lay_wire
WIRE=
lay_wire() {
    WIRE=goodwatt-$$
    ip netns add "$WIRE"
    in_wire ip link set lo up
    in_wire ip link add wire type bridge forward_delay 0
    in_wire ip address add 10.77.0.254/24 dev wire
    in_wire ip link set wire up
}

# Runs a command where the wire is; here where there is none: in_wire COMMAND...
in_wire() { if [[ -n $WIRE ]]; then ip netns exec "$WIRE" "$@"; else "$@"; fi; }

# A simulated sensor on which a finger lies, at the end of a serial line that a board has on USB where
# it is started with "${SENSOR[@]}": lay_finger
SENSOR_PID=
lay_finger() {
    local line
    "$CARGO_TARGET_DIR/debug/finger-simulator" --finger 2000 --baud 57600 >"$BOARDS/sensor" &
    SENSOR_PID=$!
    until [[ -s $BOARDS/sensor ]]; do sleep 0.1; done
    read -r line <"$BOARDS/sensor"
    # shellcheck disable=SC2034 # for who sources this
    SENSOR=(-device qemu-xhci -chardev "serial,id=sensor,path=$line" -device "usb-serial,chardev=sensor")
}

# Types a line at the serial console of a board: types NAME LINE. The line takes its characters one by
# one, and what is not taken when the cable goes is lost: so this waits for their echo, if one comes.
types() {
    python3 -c 'import socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[1])
line.settimeout(20)
line.sendall(sys.argv[2].encode() + b"\n")
echo = b""
try:
    while not echo.replace(b"\r", b"").endswith(b"\n") or sys.argv[2].encode() not in echo:
        part = line.recv(64)
        if not part: sys.exit("the board is gone")
        echo += part
except TimeoutError:
    pass' "$BOARDS/$1/line" "$2"
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

# How a board's owner logs in: SSH_OPTIONS, PORT, HOST, and LOGIN, the whole of it: login_of NAME
login_of() {
    local number
    number=$(cat "$BOARDS/$1/number")
    PORT=$((22000 + number)) HOST=127.0.0.1
    [[ -z $WIRE ]] || { PORT=22 HOST=10.77.0.$number; }
    SSH_OPTIONS=(-q -i "$BOARDS/key" -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null
        -o ConnectTimeout=120 -o ServerAliveInterval=60)
    LOGIN=(ssh "${SSH_OPTIONS[@]}" -p "$PORT" "root@$HOST")
}

# Runs a command on a board as its owner would: on NAME COMMAND...
on() {
    login_of "$1"
    in_wire "${LOGIN[@]}" "${@:2}"
}

# Copies a file to a board as its owner would: copy_to NAME FILE PATH
copy_to() {
    login_of "$1"
    in_wire scp "${SSH_OPTIONS[@]}" -P "$PORT" "$2" "root@$HOST:$3"
}

# A package of the image's programs under the number of another version: next_package OUT.deb
next_package() {
    local work
    work=$(mktemp --directory)
    images/deb "$BOARD_ARCHITECTURE" "$work" >/dev/null
    dpkg-deb --raw-extract "$work"/goodwatt_*.deb "$work/tree"
    sed --in-place 's/^Version: .*/Version: 99.0/' "$work/tree/DEBIAN/control"
    dpkg-deb --root-owner-group --build "$work/tree" "$1" >/dev/null
    rm --recursive "$work"
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
        sleep 0.5
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
show_console() {
    [[ -e $BOARDS/$1/serial ]] || return 0
    echo "----- console of $1"
    tail -n 40 "$BOARDS/$1/serial" | tr -d '\r'
}

# What an owner asks of a board that is well: healthy NAME
healthy() {
    local state failed
    state=$(on "$1" systemctl show goodwattd --property=ActiveState,SubState,StatusText | sort | paste -sd' ')
    [[ $state == 'ActiveState=active StatusText=serving '*' SubState=running' ]] || fail "$1: the unit is not active and notified: $state"
    failed=$(on "$1" systemctl list-units --failed --no-legend --plain)
    [[ -z $failed ]] || fail "$1: a unit failed: $failed"
    on "$1" 'findmnt --noheadings --output OPTIONS /' | grep --quiet '^ro' || fail "$1: the root can be written"
}

# Whom boards of tests pay: nobody holds the key.
readonly PAYEE=good1syuhwr4g05t4744r23nvxnr7en9cmz53knhr0gja7c84hr7fkw2q3dgmq6

# Three payments, each sealed before the next: pay NAME
pay() { on "$1" "for try in 1 2 3; do goodwatt send $PAYEE '1 good' --wait; done" >/dev/null; }

height() { status_of "$1" height; }

# The answer of a board on its card's first partition, as a laptop shows it: report NAME
report() { from_boot "$BOARDS/$1/card" goodwatt-report.txt 2>/dev/null | tr -d '\r'; }

# Waits until a board's report has a line that fits: reports NAME PATTERN [SECONDS]
reports() {
    # shellcheck disable=SC2317 # called by within
    fits() { report "$1" | grep --quiet --extended-regexp "$2"; }
    within "${3:-$BOOT_SECONDS_MAX}" "$1 reports '$2'" fits "$1" "$2" ||
        { echo "instead:"; report "$1"; return 1; }
}

# Starts a Raspberry Pi 3B from the SD model, with Debian's own device tree: start_pi NAME. It has no
# network there, so it is told the time, and no watchdog: QEMU 7.2 resets a board that arms it,
# without waiting for its end. What it says is on its serial console. Its time is hasty, and its
# card has to be a power of two in size.
start_pi() {
    local folder=$BOARDS/$1
    from_boot "$IMAGE" bcm2837-rpi-3-b.dtb >"$BOARDS/pi.dtb"
    nice -n 5 qemu-system-aarch64 -M raspi3b -display none -no-reboot -icount shift=2,sleep=off \
        -kernel "$BOARDS/vmlinuz" -initrd "$BOARDS/initrd.img" -dtb "$BOARDS/pi.dtb" \
        -append "console=ttyAMA0,115200 ro quiet loglevel=4 panic=5 module_blacklist=bcm2835_wdt systemd.clock_usec=$(date +%s)000000" \
        -drive "if=sd,format=raw,file=$folder/card" \
        -serial "file:$folder/serial" -monitor none -pidfile "$folder/pid" -daemonize
}
