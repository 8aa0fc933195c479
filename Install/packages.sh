# Packages of the system: what they are called here, and how they are installed. Sourced by install.sh.
# shellcheck shell=bash

PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
_lists_are_fresh=

# Runs a command with root's rights: directly, or through sudo.
as_root() {
    if ((EUID == 0)); then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        return 1
    fi
}

package_manager() {
    local one
    for one in apt-get dnf zypper pacman; do
        if command -v "$one" >/dev/null; then
            echo "$one"
            return
        fi
    done
    echo none
}

# Prints the packages, by this system's names, that bring something the project needs.
packages_for() {
    case "$1:$(package_manager)" in
        server:apt-get | server:dnf | server-programs:dnf) echo mariadb-server ;;
        server:* | server-programs:zypper | server-programs:pacman) echo mariadb ;;
        server-programs:apt-get) server_program_packages ;;
        galera:pacman) echo galera ;;
        galera:*) echo galera-4 ;;
        venv:apt-get) echo "python${2:-3}-venv" ;;
        venv:zypper) echo python311 ;;
        venv:pacman) echo python ;;
        venv:*) echo python3 ;;
        python:apt-get) python_packages ;;
        python:*) packages_for venv ;;
        tkinter:dnf) echo python3-tkinter ;;
        tkinter:pacman) echo tk ;;
        tkinter:*) echo python3-tk ;;
        xvfb:apt-get | xvfb:none) echo xvfb ;;
        xvfb:pacman) echo xorg-server-xvfb ;;
        xvfb:*) echo xorg-x11-server-Xvfb ;;
        faketime:apt-get | faketime:none) echo faketime ;;
        faketime:*) echo libfaketime ;;
        *) echo "$1" ;;
    esac
}

# Debian and newer Ubuntu have the server's programs apart from its service; older Ubuntu has the version in the name.
server_program_packages() {
    refresh_lists
    local names
    names=$(apt-cache search --names-only '^mariadb-(server|client)-core(-[0-9.]+)?$' | cut -d ' ' -f 1 | sort)
    if grep -qx mariadb-server-core <<<"$names"; then
        echo mariadb-server-core mariadb-client-core
    else
        echo "$names"
    fi
}

# The system's default Python, unless it is too old and a newer one stands beside it.
python_packages() {
    refresh_lists
    local version
    for version in 3.13 3.12 3.11; do
        if apt-cache show "python$version-venv" >/dev/null 2>&1; then
            echo "python$version" "python$version-venv"
            return
        fi
    done
    echo python3 python3-venv
}

refresh_lists() {
    [[ -n $_lists_are_fresh ]] && return
    # A failure is not the end: the package may be in the lists as they are.
    as_root apt-get update -qq >&2 || true
    _lists_are_fresh=yes
}

# need_package THING WHY [VERSION]: installs the packages that bring THING, or says what to ask the administrator for.
need_package() {
    local names
    [[ $(package_manager) == apt-get ]] && refresh_lists
    read -ra names <<<"$(packages_for "$1" "${3:-}" | tr '\n' ' ')"
    install_packages "$2" "${names[@]}"
}

# need_programs PROGRAM=THING...: installs what brings the programs that are not here, all at once.
need_programs() {
    local one names=() missing=()
    for one in "$@"; do
        command -v "${one%=*}" >/dev/null && continue
        ((${#missing[@]})) || [[ $(package_manager) != apt-get ]] || refresh_lists
        missing+=("${one%=*}")
        names+=("$(packages_for "${one#*=}")")
    done
    ((${#missing[@]})) || return 0
    read -ra names <<<"$(printf '%s\n' "${names[@]}" | tr ' ' '\n' | sort -u | tr '\n' ' ')"
    install_packages "the programs ${missing[*]}" "${names[@]}"
    for one in "${missing[@]}"; do
        command -v "$one" >/dev/null || fail "The program $one is still missing after its package was installed."
    done
}

# install_packages WHAT NAME...
install_packages() {
    local what=$1 command log
    shift
    case $(package_manager) in
        apt-get) command=(apt-get install -y --no-install-recommends) ;;
        dnf) command=(dnf install -y) ;;
        zypper) command=(zypper --non-interactive install) ;;
        pacman) command=(pacman -S --noconfirm --needed) ;;
        none) fail "This machine lacks $what, and none of the package managers apt-get, dnf, zypper and pacman is here." \
            "Please install them by hand (packages $* or the like) and run this again." ;;
    esac
    step "Installing $what (packages: $*)"
    log=$(mktemp)
    if as_root env DEBIAN_FRONTEND=noninteractive "${command[@]}" "$@" >"$log" 2>&1; then
        rm -f "$log"
        return
    fi
    tail -n 10 "$log" >&2
    rm -f "$log"
    if ((EUID == 0)); then fail "The package manager could not install $what; its last words are above."; fi
    fail "This machine lacks $what, and this user may not install them." \
        "Please ask the administrator of this machine to run: ${command[*]} $*"
}
